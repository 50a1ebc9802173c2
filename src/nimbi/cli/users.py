"""`nimbi users`: people who sign in, and programs that have tokens."""

import sys
from typing import Any

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.named import named, named_one
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi users create ann --tenant acme --email ann@acme.example    (asks for the password)
  nimbi users create deploy --service --tenant acme/web
  nimbi users password                                             (one's own)
  nimbi users disable ann"""


def _state(item: Any) -> str:
    return "ok" if item["is_enabled"] else "disabled"


COLUMNS = (
    Column("NAME", field("name"), firm=True),
    Column("ID", field("id"), firm=True),
    Column("KIND", field("kind")),
    Column("TENANT", field("tenant")),
    Column("EMAIL", field("email")),
    Column("SIGNS IN AT", field("issuer")),
    Column("STATE", _state, is_state=True),
    Column("AGE", age("created_at")),
)


@click.group(short_help="People who sign in, and programs that have tokens.", epilog=EPILOG)
def users() -> None:
    """Look after users: people who sign in, and service accounts, which have tokens.

    A user may do nothing before it has a role: nimbi grants create.
    """


@users.command("list", cls=Command, without=("accounts",), short_help="List users.")
@click.pass_obj
def list_users(desk: Desk) -> None:
    """List the users of the tenant in which you act, and of those below."""
    tell_all(named(desk, desk.remote.ask("GET", "/v1/users").value["items"]), COLUMNS, desk.form)


@users.command(cls=Command, without=("accounts",), short_help="Show one user.")
@click.argument("name")
@click.pass_obj
def get(desk: Desk, name: str) -> None:
    """Show a user by its name or id."""
    tell_one(named_one(desk, desk.remote.ask("GET", _place(name)).value), desk.form)


@users.command(cls=Command, without=("accounts",), short_help="Make a user.", epilog=EPILOG)
@click.argument("name")
@click.option("--tenant", cls=Option, metavar="PLACE", help="Where it belongs: acme, acme/web.")
@click.option("--email", cls=Option, metavar="ADDRESS", help="Where mail reaches it.")
@click.option("--service", cls=Option, is_flag=True, help="A program: it has tokens, no password.")
@click.option("--no-password", cls=Option, is_flag=True, help="It signs in elsewhere, or later.")
@click.pass_obj
def create(
    desk: Desk, name: str, tenant: str | None, email: str | None, service: bool, no_password: bool
) -> None:
    """Make a user under a NAME. The password is read from the terminal or standard input."""
    new: dict[str, Any] = {"name": name, "kind": "service" if service else "person"}
    told = {"tenant": tenant, "email": email}
    new |= {key: value for key, value in told.items() if value is not None}
    if not (service or no_password):
        new["password"] = asked_password("password")
    tell_one(named_one(desk, desk.remote.ask("POST", "/v1/users", body=new).value), desk.form)


@users.command(cls=Command, without=("accounts",), short_help="Change a user.")
@click.argument("name")
@click.option("--tenant", cls=Option, metavar="PLACE", help="Where it belongs from now on.")
@click.option("--email", cls=Option, metavar="ADDRESS", help="Where mail reaches it.")
@click.option("--issuer", cls=Option, metavar="URL", help="The OpenID provider it signs in at.")
@click.option("--subject", cls=Option, metavar="ID", help="What that provider calls it.")
@click.pass_obj
def change(
    desk: Desk,
    name: str,
    tenant: str | None,
    email: str | None,
    issuer: str | None,
    subject: str | None,
) -> None:
    """Change what is told of a user.

    Whom the provider --issuer knows as --subject signs in as this user from then on.
    """
    told = {"tenant": tenant, "email": email, "issuer": issuer, "subject": subject}
    wish = {key: value for key, value in told.items() if value is not None}
    tell_one(named_one(desk, desk.remote.ask("PATCH", _place(name), body=wish).value), desk.form)


@users.command(cls=Command, without=("accounts",), short_help="Set a password.")
@click.argument("name", required=False)
@click.pass_obj
def password(desk: Desk, name: str | None) -> None:
    """Set a password: of the user NAME, or your own, which takes the old one."""
    wish: dict[str, Any] = {}
    if name is None:
        name = desk.remote.ask("GET", "/v1/login").value["user"]
        wish["old_password"] = asked_password("old password", twice=False)
    wish["password"] = asked_password("new password")
    desk.remote.ask("PATCH", _place(str(name)), body=wish)


@users.command(cls=Command, without=("accounts",), short_help="Let users in again.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def enable(desk: Desk, names: tuple[str, ...]) -> None:
    """Let users in again that were disabled."""
    for name in names:
        desk.remote.ask("PATCH", _place(name), body={"is_enabled": True})


@users.command(cls=Command, without=("accounts",), short_help="Let users in no more.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def disable(desk: Desk, names: tuple[str, ...]) -> None:
    """Let users in no more, nor their tokens; what they have stays."""
    for name in names:
        desk.remote.ask("PATCH", _place(name), body={"is_enabled": False})


@users.command(cls=Command, without=("accounts",), short_help="Remove users.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def rm(desk: Desk, names: tuple[str, ...]) -> None:
    """Remove users, with their tokens and all that they were given; what they made stays."""
    for name in names:
        desk.remote.ask("DELETE", _place(name))


def asked_password(what: str, *, twice: bool = True) -> str:
    """Return a password from the terminal, told twice there, or a line of standard input."""
    if sys.stdin.isatty():
        told: str = click.prompt(what, hide_input=True, err=True, confirmation_prompt=twice)
        return told
    return sys.stdin.readline().rstrip("\r\n")


def _place(name: str) -> str:
    return f"/v1/users/{segment(name)}"
