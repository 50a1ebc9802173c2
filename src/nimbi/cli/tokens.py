"""`nimbi tokens`: what programs and people log in to the server with."""

from typing import Any

import click

from nimbi.cli.columns import Column, age, field, since, until
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.config import write_private
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.named import named
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi tokens create ci --scope read --days 30
  nimbi tokens create deploy --scope 'instances.*@aws' --into deploy.token
  nimbi tokens create robot --user deploy --tenant acme/web
  nimbi tokens list
  nimbi tokens revoke TOKEN-ID"""


def _scopes(item: Any) -> str:
    return ", ".join(f"{one['operations']}@{one['account']}" for one in item["scopes"])


COLUMNS = (
    Column("NAME", field("name"), firm=True),
    Column("ID", field("id"), firm=True),
    Column("MAY", _scopes),
    Column("USER", field("user")),
    Column("TENANT", field("tenant")),
    Column("AGE", age("created_at")),
    Column("USED", lambda item: since(item.get("used_at"))),
    Column("EXPIRES IN", lambda item: until(item.get("expires_at"))),
)


@click.group(short_help="Make, list and revoke API tokens.", epilog=EPILOG)
def tokens() -> None:
    """Make, list and revoke the tokens that programs and people log in to the server with."""


@tokens.command("list", cls=Command, without=("accounts",), short_help="List all tokens.")
@click.pass_obj
def list_tokens(desk: Desk) -> None:
    """List all tokens; their secrets are kept nowhere."""
    items = desk.remote.ask("GET", "/v1/tokens").value["items"]
    tell_all(named(desk, items), COLUMNS, desk.form)


@tokens.command(
    cls=Command,
    without=("accounts",),
    short_help="Make a token; its secret is told this once.",
    epilog=EPILOG,
)
@click.argument("name")
@click.option(
    "--scope",
    cls=Option,
    multiple=True,
    metavar="OPERATIONS[@ACCOUNT]",
    help="What it may do: instances.start, instances.*, read or *. [default: * on all accounts]",
)
@click.option("--days", cls=Option, type=click.IntRange(min=1), help="How long it is good.")
@click.option("--tenant", cls=Option, metavar="PLACE", help="Where it acts: acme, acme/web.")
@click.option("--user", cls=Option, metavar="NAME", help="A service account whose it is.")
@click.option("--into", cls=Option, metavar="FILE", help="Write the secret there, mode 0600.")
@click.pass_obj
def create(
    desk: Desk,
    name: str,
    scope: tuple[str, ...],
    days: int | None,
    tenant: str | None,
    user: str | None,
    into: str | None,
) -> None:
    """Make a token under a NAME, and print its secret, which is told this once."""
    told = {"name": name, "tenant": tenant, "user": user}
    new: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
    if scope:
        new["scopes"] = [_scope(one) for one in scope]
    if days:
        from datetime import UTC, datetime, timedelta

        new["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    made = desk.remote.ask("POST", "/v1/tokens", body=new).value
    if into is not None:
        from pathlib import Path

        write_private(Path(into).expanduser(), made["secret"] + "\n")
        click.echo(f"{into} has the secret of {made['token']['id']}", err=True)
    elif desk.form in {"table", "name"}:
        click.echo(made["secret"])
    else:
        tell_one(made, desk.form)


def _scope(told: str) -> dict[str, str]:
    operations, _, account = told.partition("@")
    return {"operations": operations or "*", "account": account or "*"}


@tokens.command(cls=Command, without=("accounts",), short_help="End tokens, at once.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def revoke(desk: Desk, ids: tuple[str, ...]) -> None:
    """End tokens: nobody gets in with them any more."""
    for id in ids:
        desk.remote.ask("DELETE", f"/v1/tokens/{segment(id)}")
