"""`nimbi accounts`: the logins to clouds that Nimbi remembers."""

import sys

import click

from nimbi.cli.accounts.adding import add, change, changed
from nimbi.cli.accounts.discovery import discover
from nimbi.cli.accounts.lending import lend, lends, move, unlend
from nimbi.cli.accounts.telling import tell
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.errors import status_of
from nimbi.cli.forms import tell_one
from nimbi.cli.remote import of_account

EPILOG = """\b
Examples:
  nimbi accounts discover --add             remember the logins that are on this machine
  nimbi accounts add local --driver local --own-login
  nimbi accounts add aws --driver ec2 --provider eu-west-1
  nimbi accounts list
  nimbi accounts test aws"""


@click.group(short_help="Remember logins to clouds.", epilog=EPILOG)
def accounts() -> None:
    """Remember logins to clouds, under names: add them, find them, test them, remove them.

    A login is tested when it is saved, and kept encrypted by the operator's key.
    """


@accounts.command("list", cls=Command, without=("accounts",), short_help="List all accounts.")
@click.pass_obj
def list_accounts(desk: Desk) -> None:
    """List all accounts: their clouds, and whether those answer, since when, and why not."""
    tell(desk, desk.remote.ask("GET", "/v1/accounts").value["items"])


@accounts.command(cls=Command, without=("accounts",), short_help="Show one account.")
@click.argument("name")
@click.pass_obj
def get(desk: Desk, name: str) -> None:
    """Show what is known of an account; its login is shown nowhere."""
    tell_one(desk.remote.ask("GET", of_account(name)).value, desk.form)


@accounts.command(cls=Command, without=("accounts",), short_help="Ask clouds whether logins hold.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def test(desk: Desk, names: tuple[str, ...]) -> None:
    """Ask the clouds of all accounts, or of those named, whether their logins hold.

    The exit status is that of the first one that does not.
    """
    every = names or tuple(a["id"] for a in desk.remote.ask("GET", "/v1/accounts").value["items"])
    found = [
        desk.remote.ask("POST", of_account(name, "test"), timeout_s=150.0).value for name in every
    ]
    tell(desk, found)
    for item in found:
        if item["health"].get("problem"):
            raise SystemExit(status_of(item["health"]["problem"]["code"]))


@accounts.command(cls=Command, without=("accounts",), short_help="Use accounts again.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def enable(desk: Desk, names: tuple[str, ...]) -> None:
    """Use accounts again that were disabled."""
    tell(desk, [changed(desk, name, {"is_enabled": True}) for name in names])


@accounts.command(cls=Command, without=("accounts",), short_help="Keep accounts, unused.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def disable(desk: Desk, names: tuple[str, ...]) -> None:
    """Keep accounts and their logins, and ask their clouds nothing until they are enabled."""
    tell(desk, [changed(desk, name, {"is_enabled": False}) for name in names])


@accounts.command(cls=Command, without=("accounts",), short_help="Forget accounts.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--force", cls=Option, is_flag=True, help="Also while things depend on it.")
@click.option("-y", "--yes", cls=Option, is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(desk: Desk, names: tuple[str, ...], force: bool, yes: bool) -> None:
    """Forget accounts and their logins; nothing changes in their clouds.

    One on which things depend is kept: work under way, webhooks, what Nimbi made there. It fails
    as conflict (status 13) then, unless --force.
    """
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(f"forget {', '.join(names)}?", abort=True, err=True)
    query = [("force", "true")] if force else []
    for name in names:
        desk.remote.ask("DELETE", of_account(name), query)


for command in (add, discover, change, lend, unlend, lends, move):
    accounts.add_command(command)
