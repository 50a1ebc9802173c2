"""`nimbi webhooks`: URLs that are told of changes."""

from typing import Any

import click

from nimbi.cli.columns import Column, age, field, since
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi webhooks create https://ci.example/hook --collection instances
  nimbi webhooks create https://ci.example/hook -a aws
  nimbi webhooks list"""


def _state(item: Any) -> str:
    if not item["is_enabled"]:
        return "failed: disabled"
    return f"failing for {since(item['failing_since'])}" if item.get("failing_since") else "ok"


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("URL", field("url")),
    Column("ACCOUNTS", field("accounts")),
    Column("COLLECTIONS", field("collections")),
    Column("STATE", _state, is_state=True),
    Column("AGE", age("created_at")),
)


@click.group(short_help="URLs that are told of changes.", epilog=EPILOG)
def webhooks() -> None:
    """Have URLs told of changes: signed, and again until they listen."""


@webhooks.command("list", cls=Command, without=("accounts",), short_help="List all webhooks.")
@click.pass_obj
def list_webhooks(desk: Desk) -> None:
    """List all webhooks, and whether they listen."""
    tell_all(desk.remote.ask("GET", "/v1/webhooks").value["items"], COLUMNS, desk.form)


@webhooks.command(cls=Command, short_help="Tell a URL of changes.", epilog=EPILOG)
@click.argument("url")
@click.option(
    "--collection", cls=Option, multiple=True, metavar="NAME", help="Only of these. [default: all]"
)
@click.pass_obj
def create(desk: Desk, url: str, collection: tuple[str, ...]) -> None:
    """Tell a URL of changes from now on. The secret that signs them is told this once."""
    new = {"url": url, "accounts": list(desk.named), "collections": list(collection)}
    made = desk.remote.ask("POST", "/v1/webhooks", body=new).value
    if desk.form == "table":
        tell_one({**made["webhook"], "secret": made["secret"]}, desk.form)
    else:
        tell_one(made["webhook"] if desk.form == "name" else made, desk.form)


@webhooks.command(cls=Command, without=("accounts",), short_help="Deliver to one again.")
@click.argument("id")
@click.pass_obj
def enable(desk: Desk, id: str) -> None:
    """Deliver again to a webhook that failed for too long, beginning with what it missed."""
    tell_one(desk.remote.ask("POST", f"/v1/webhooks/{segment(id)}/enable").value, desk.form)


@webhooks.command(cls=Command, without=("accounts",), short_help="Remove webhooks.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def rm(desk: Desk, ids: tuple[str, ...]) -> None:
    """Remove webhooks: they are told nothing any more."""
    for id in ids:
        desk.remote.ask("DELETE", f"/v1/webhooks/{segment(id)}")
