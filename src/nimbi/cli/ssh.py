"""`nimbi ssh`."""

import os
import shutil
from typing import Any

import click

from nimbi.cli.collections.showing import completing
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.errors import STATUSES, fail
from nimbi.cli.refs import find
from nimbi.cli.remote import of_account
from nimbi.cli.ssh_keys import NO_LOGIN

NOT_REACHED = frozenset({"mac", "vnc", "unavailable"})
PORT = 22
# Of an address that swallows everything: else ssh waits for minutes.
CONNECT_S = 15


def _run(desk: Desk, /, thing: str, command: tuple[str, ...], **told: Any) -> None:
    ref = find(desk, "instances", thing)
    item = desk.remote.ask("GET", of_account(ref.account, "instances", ref.id)).value
    address, port = endpoint(item)
    if address is None:
        fail(f"{ref} is {item['state']} and has no address", STATUSES["conflict"])
    program = shutil.which("ssh")
    if program is None:
        fail("there is no ssh on this machine")
    login = item.get("login") or {}
    if not login and not told["user"] and not told["identity"]:
        # It may have one of which its cloud knows nothing: ssh finds out.
        click.echo(f"{ref}: {NO_LOGIN}", err=True)
    user = told["user"] or login.get("user")
    words = ssh_words(str(ref), address, told["port"] or port, user, told["identity"])
    desk.close()
    if command[:1] == ("--",):
        command = command[1:]
    os.execv(program, [program, *words, *command])  # noqa: S606  it is what was asked for


def endpoint(item: Any) -> tuple[str | None, int]:
    """Return address and port at which an instance takes ssh, public ones before others.

    An address with a port of its own is that of another service, unless there is no other.
    """
    told = [
        one
        for name in ("public_addresses", "private_addresses")
        for one in item.get(name) or []
        if one["kind"] not in NOT_REACHED
    ]
    if not told:
        return None, PORT
    if port := (item.get("login") or {}).get("port"):
        return told[0]["address"], port
    best = min(told, key=lambda one: one.get("port") not in {None, PORT})
    return best["address"], best.get("port") or PORT


def ssh_words(
    name: str, address: str, port: int, user: str | None, identity: str | None
) -> list[str]:
    """Return the arguments of ssh. An address can't be taken for an option.

    Clouds give addresses to one machine after the other: its key is remembered by the machine's
    name, and taken as it is the first time, as there is nobody to ask for it.
    """
    alias = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    words = ["-o", f"HostKeyAlias=nimbi-{alias}", "-o", "StrictHostKeyChecking=accept-new"]
    words += ["-o", f"ConnectTimeout={CONNECT_S}", "-p", str(port)]
    if identity:
        words += ["-i", os.path.expanduser(identity)]  # noqa: PTH111  ssh takes text
    if user:
        words += ["-l", user]
    return [*words, "--", address]


def _params() -> list[click.Parameter]:
    return [
        click.Argument(["thing"], metavar="INSTANCE", shell_complete=completing("instances")),
        click.Argument(["command"], nargs=-1, metavar="[COMMAND]...", type=click.UNPROCESSED),
        Option(["-l", "--user"], metavar="USER", help="Log in as. [default: what the cloud says]"),
        Option(["-i", "--identity"], metavar="FILE", help="The private key."),
        Option(["-p", "--port"], type=click.IntRange(1, 65535), help="[default: its own, or 22]"),
    ]


ssh = Command(
    "ssh",
    without=("form",),
    callback=click.pass_obj(_run),
    params=_params(),
    help="""Log in to an INSTANCE by its name or id, or run a COMMAND there.

    Address, port and user are those that its cloud tells; ssh itself does the rest, with its own
    configuration, and its exit status is the command's. The machine's key is taken as it is the
    first time, and remembered under the machine's name.
    """,
    short_help="Log in to an instance by its name.",
    epilog="""\b
Examples:
  nimbi ssh web
  nimbi ssh -l root -i ~/.ssh/cloud web
  nimbi ssh aws:i-1 -- uptime""",
    context_settings={"allow_interspersed_args": False},
)
