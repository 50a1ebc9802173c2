"""`nimbi groups`: users who have the same roles."""

from typing import Any

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.named import named, named_one
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi groups create crew --tenant acme
  nimbi groups add crew ann bob
  nimbi grants create operator acme/web --group crew"""

COLUMNS = (
    Column("NAME", field("name"), firm=True),
    Column("ID", field("id"), firm=True),
    Column("TENANT", field("tenant")),
    Column("MEMBERS", lambda item: str(len(item["members"]))),
    Column("AGE", age("created_at")),
)


@click.group(short_help="Users who have the same roles.", epilog=EPILOG)
def groups() -> None:
    """Look after groups: what a group is given, all its members have."""


@groups.command("list", cls=Command, without=("accounts",), short_help="List groups.")
@click.pass_obj
def list_groups(desk: Desk) -> None:
    """List the groups of the tenant in which you act, and of those below."""
    tell_all(named(desk, desk.remote.ask("GET", "/v1/groups").value["items"]), COLUMNS, desk.form)


@groups.command(cls=Command, without=("accounts",), short_help="Show a group and its members.")
@click.argument("name")
@click.pass_obj
def get(desk: Desk, name: str) -> None:
    """Show a group by its name or id."""
    tell_one(named_one(desk, desk.remote.ask("GET", _place(name)).value), desk.form)


@groups.command(cls=Command, without=("accounts",), short_help="Make a group.", epilog=EPILOG)
@click.argument("name")
@click.option("--tenant", cls=Option, metavar="PLACE", help="Where it belongs: acme, acme/web.")
@click.pass_obj
def create(desk: Desk, name: str, tenant: str | None) -> None:
    """Make a group without members."""
    new: dict[str, Any] = {"name": name}
    if tenant is not None:
        new["tenant"] = tenant
    tell_one(named_one(desk, desk.remote.ask("POST", "/v1/groups", body=new).value), desk.form)


@groups.command(cls=Command, without=("accounts",), short_help="Put users in a group.")
@click.argument("name")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@click.pass_obj
def add(desk: Desk, name: str, users: tuple[str, ...]) -> None:
    """Put users in the group NAME."""
    for user in users:
        desk.remote.ask("PUT", f"{_place(name)}/members/{segment(user)}")


@groups.command(cls=Command, without=("accounts",), short_help="Take users out of a group.")
@click.argument("name")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@click.pass_obj
def remove(desk: Desk, name: str, users: tuple[str, ...]) -> None:
    """Take users out of the group NAME."""
    for user in users:
        desk.remote.ask("DELETE", f"{_place(name)}/members/{segment(user)}")


@groups.command(cls=Command, without=("accounts",), short_help="Remove groups.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.pass_obj
def rm(desk: Desk, names: tuple[str, ...]) -> None:
    """Remove groups; their members lose what these had."""
    for name in names:
        desk.remote.ask("DELETE", _place(name))


def _place(name: str) -> str:
    return f"/v1/groups/{segment(name)}"
