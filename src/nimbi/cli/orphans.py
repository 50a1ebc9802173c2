"""`nimbi orphans`."""

import sys
from typing import Any

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option, words_of
from nimbi.cli.errors import status_of
from nimbi.cli.forms import tell_all
from nimbi.cli.remote import of_account
from nimbi.model.errors import CloudError

COLUMNS = (
    Column("ACCOUNT", field("account")),
    Column("COLLECTION", field("collection")),
    Column("NAME", field("name"), firm=True),
    Column("ID", field("id"), firm=True),
    Column("WHY", field("reason")),
    Column("SEEN", age("seen_at")),
)


@click.command(
    cls=Command,
    short_help="List what Nimbi made and nobody owns; remove it.",
    epilog="""\b
Examples:
  nimbi orphans
  nimbi orphans -a aws --remove
  nimbi orphans --adopt aws:i-0123        it is wanted: keep it""",
)
@click.option("--remove", cls=Option, is_flag=True, help="Destroy them all in their clouds.")
@click.option("--adopt", cls=Option, metavar="ACCOUNT:ID", help="Keep one: it is none any more.")
@click.option("-y", "--yes", cls=Option, is_flag=True, help="Do not ask.")
@click.pass_obj
def orphans(desk: Desk, remove: bool, adopt: str | None, yes: bool) -> None:
    """List what Nimbi made in clouds and nobody owns any more, with the reason.

    That is what a request made whose answer nobody got, for example. Nothing is removed until
    --remove says so.
    """
    where = [("account", ",".join(desk.accounts))] if desk.accounts else []
    items = desk.remote.ask("GET", "/v1/orphans", where).value["items"]
    if adopt is not None:
        found = [item for item in items if f"{item['account']}:{item['id']}" == adopt]
        if not found:
            raise click.UsageError(f"{adopt} is no orphan")
        desk.remote.ask("POST", f"{_place(found[0])}/adopt")
        return
    if not remove:
        _tell(desk, items)
        return
    if items and not yes and sys.stdin.isatty() and sys.stderr.isatty():
        _tell(desk, items)
        click.confirm(f"destroy {'it' if len(items) == 1 else 'them'}?", abort=True, err=True)
    _remove(desk, items)


def _tell(desk: Desk, items: list[Any]) -> None:
    tell_all(items, COLUMNS, desk.form)
    if not items and desk.form == "table" and sys.stderr.isatty():
        click.echo("There is none: somebody owns all that Nimbi made.", err=True)


def _remove(desk: Desk, items: list[Any]) -> None:
    status = 0
    gone = []
    for item in items:
        try:
            desk.remote.ask("DELETE", _place(item))
            gone.append(item)
        except CloudError as error:
            name = f"{item['account']}:{item['id']}"
            click.echo(f"{name}: {words_of(error.code)}: {error}", err=True)
            status = status or status_of(error.code)
    _tell(desk, gone)
    if status:
        raise SystemExit(status)


def _place(item: Any) -> str:
    return of_account(item["account"], "orphans", item["collection"], item["id"])
