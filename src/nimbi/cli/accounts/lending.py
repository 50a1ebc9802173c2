"""`nimbi accounts lend`, `unlend`, `lends` and `move`: whose accounts are, and who may use them."""

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.named import named
from nimbi.cli.remote import of_account, segment

COLUMNS = (
    Column("ACCOUNT", field("account"), firm=True),
    Column("TENANT", field("tenant"), firm=True),
    Column("AGE", age("created_at")),
)


@click.command(cls=Command, without=("accounts",), short_help="Let another tenant use one.")
@click.argument("name")
@click.option("--to", cls=Option, required=True, metavar="PLACE", help="acme, acme/web, or an id.")
@click.pass_obj
def lend(desk: Desk, name: str, to: str) -> None:
    """Let a tenant, and all below it, use an account that is another's."""
    desk.remote.ask("POST", of_account(name, "lends"), body={"tenant": to})


@click.command(cls=Command, without=("accounts",), short_help="Let it use it no longer.")
@click.argument("name")
@click.option("--to", cls=Option, required=True, metavar="PLACE", help="acme, acme/web, or an id.")
@click.pass_obj
def unlend(desk: Desk, name: str, to: str) -> None:
    """Let a tenant use an account no longer; what it has there stays."""
    desk.remote.ask("DELETE", f"{of_account(name, 'lends')}/{segment(to)}")


@click.command(cls=Command, without=("accounts",), short_help="Tell to whom one is lent.")
@click.argument("name")
@click.pass_obj
def lends(desk: Desk, name: str) -> None:
    """List the tenants to which an account is lent."""
    items = desk.remote.ask("GET", of_account(name, "lends")).value["items"]
    tell_all(named(desk, items), COLUMNS, desk.form)


@click.command(cls=Command, without=("accounts",), short_help="Give one to another tenant.")
@click.argument("name")
@click.option("--to", cls=Option, required=True, metavar="PLACE", help="acme, acme/web, or an id.")
@click.pass_obj
def move(desk: Desk, name: str, to: str) -> None:
    """Give an account to another tenant: it may be used there, and in all below."""
    tell_one(
        desk.remote.ask("POST", of_account(name, "move"), body={"tenant": to}).value, desk.form
    )
