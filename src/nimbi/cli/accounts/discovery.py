"""`nimbi accounts discover`: logins that are on this machine already."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from nimbi.cli.accounts.adding import create
from nimbi.cli.columns import Column, field, text
from nimbi.cli.command import Command, Desk, Option, words_of
from nimbi.cli.errors import STATUSES, fail, status_of
from nimbi.cli.forms import tell_all

FOUND = (
    Column("NAME", field("name"), firm=True),
    Column("DRIVER", field("driver")),
    Column("PROVIDER", field("provider")),
    Column("FOUND IN", field("source")),
    Column("PROBLEM", field("problem")),
)


@click.command(
    cls=Command,
    without=("accounts",),
    short_help="Find logins that are on this machine already.",
    epilog="""\b
Examples:
  nimbi accounts discover
  nimbi accounts discover --add
  nimbi accounts discover --add aws-work openstack""",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--add", "is_add", cls=Option, is_flag=True, help="Remember them: all, or the named.")
@click.pass_obj
def discover(desk: Desk, names: tuple[str, ...], is_add: bool) -> None:
    """Find logins in AWS profiles, clouds.yaml and the environment of this user, on this machine.

    No cloud is asked until --add, which tests each as `add` does; those that fail are told and
    left out.
    """
    import msgspec

    from nimbi.broker.discovery import discover as look
    from nimbi.gateway.registry import Registry

    found = [
        one for one in look(Registry(), os.environ, Path.home()) if not names or one.name in names
    ]
    if missing := set(names) - {one.name for one in found}:
        fail(f"there is no login named {', '.join(sorted(missing))} here", STATUSES["not_found"])
    if not is_add:
        shown = [msgspec.to_builtins({**msgspec.structs.asdict(one), "new": None}) for one in found]
        tell_all([{k: v for k, v in one.items() if k != "new"} for one in shown], FOUND, desk.form)
        if found and sys.stderr.isatty():
            click.echo("Remember them: nimbi accounts discover --add", err=True)
        return
    _add_found(desk, found)


def _add_found(desk: Desk, found: list[Any]) -> None:
    import msgspec

    from nimbi.model.errors import CloudError, Conflict

    status = 0
    for one in found:
        if one.new is None:
            click.echo(f"{one.name}: {text(one.problem)}", err=True)
            continue
        new = {k: v for k, v in msgspec.to_builtins(one.new).items() if v not in (None, {})}
        try:
            create(desk, new, test=True)
        except Conflict:
            # What is remembered already is no failure of a second run.
            click.echo(f"{one.name}: there is an account of this name already", err=True)
        except CloudError as error:
            click.echo(f"{one.name}: {words_of(error.code)}: {error}", err=True)
            status = status or status_of(error.code)
    if status:
        raise SystemExit(status)
