"""`nimbi holdings` and `nimbi limits`: whose things are, and what may be used of accounts."""

from typing import Any

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import Teller, tell_one
from nimbi.cli.remote import of_account, segment

HOLDINGS = (
    Column("TENANT", field("tenant")),
    Column("ACCOUNT", field("account")),
    Column("COLLECTION", field("collection")),
    Column("NAME", field("name"), firm=True),
    Column("ID", field("thing_id"), firm=True),
    Column("STATE", field("state"), is_state=True),
    Column("AGE", age("created_at")),
)
LIMITS = (
    Column("TENANT", field("tenant")),
    Column("ACCOUNT", field("account")),
    Column("REGIONS", field("regions")),
    Column("SIZES", field("sizes")),
    Column("PRICE/H (MILLIONTHS)", field("price_hour_micros")),
)


@click.group(
    short_help="Whose things in clouds are.",
    epilog="""\b
Examples:
  nimbi holdings list --tenant acme/web
  nimbi holdings adopt aws instances i-0123 --to acme/web""",
)
def holdings() -> None:
    """Tell whose things in clouds are, and give them to other domains and projects."""


@holdings.command("list", cls=Command, short_help="List what a tenant has.")
@click.option("--tenant", cls=Option, metavar="TENANT", help="[default: that of the login]")
@click.option("--collection", cls=Option, metavar="NAME", help="Only of this one.")
@click.pass_obj
def list_holdings(desk: Desk, tenant: str | None, collection: str | None) -> None:
    """List what a domain or project, and all below it, has or is about to have."""
    told = {"tenant": tenant, "collection": collection, "account": desk.account}
    where = [(name, value) for name, value in told.items() if value is not None]
    teller = Teller(desk.form, lambda _items: HOLDINGS)
    marker: list[tuple[str, str]] = []
    while True:
        page = desk.remote.ask("GET", "/v1/holdings", [*where, *marker]).value
        teller.tell(page["items"])
        if page["next"] is None:
            break
        marker = [("marker", page["next"])]
    teller.end()


@holdings.command(cls=Command, without=("accounts",), short_help="Give a thing to a tenant.")
@click.argument("account")
@click.argument("collection")
@click.argument("id")
@click.option("--to", cls=Option, required=True, metavar="TENANT", help="An id, or acme/web.")
@click.pass_obj
def adopt(desk: Desk, account: str, collection: str, id: str, to: str) -> None:
    """Give a thing to a domain or project, which counts it from now on.

    That is one that nobody made here, or one of another project.
    """
    place = of_account(account, "holdings", collection.replace("-", "_"), id)
    desk.remote.ask("PATCH", place, body={"tenant": to})


@click.group(
    short_help="What tenants may use of accounts.",
    epilog="""\b
Examples:
  nimbi limits set acme/web aws --region 'eu-*' --size t3.micro
  nimbi limits list acme/web""",
)
def limits() -> None:
    """Say which regions and sizes of an account tenants may use, and at which price."""


@limits.command("list", cls=Command, without=("accounts",), short_help="List limits.")
@click.argument("tenant")
@click.pass_obj
def list_limits(desk: Desk, tenant: str) -> None:
    """List the limits of a domain or project, and those of all above it, which hold too."""
    items = desk.remote.ask("GET", f"/v1/tenants/{segment(tenant)}/limits").value["items"]
    teller = Teller(desk.form, lambda _items: LIMITS)
    teller.tell(items)
    teller.end()


@limits.command("set", cls=Command, without=("accounts",), short_help="Set a limit.")
@click.argument("tenant")
@click.argument("account")
@click.option("--region", "regions", cls=Option, multiple=True, metavar="NAME",
              help="A realm, or how its id begins: 'eu-*'.")  # fmt: skip
@click.option("--size", "sizes", cls=Option, multiple=True, metavar="NAME",
              help="A hardware profile, or how its id begins.")  # fmt: skip
@click.option("--price", cls=Option, type=click.IntRange(0), metavar="NUMBER",
              help="The most that a new thing may cost an hour, in millionths.")  # fmt: skip
@click.pass_obj
def set_limit(
    desk: Desk, tenant: str, account: str, regions: tuple[str, ...], sizes: tuple[str, ...],
    price: int | None,
) -> None:  # fmt: skip
    """Limit what a domain or project, and all below it, may use of an account."""
    body: dict[str, Any] = {
        "regions": list(regions) or None,
        "sizes": list(sizes) or None,
        "price_hour_micros": price,
    }
    place = f"/v1/tenants/{segment(tenant)}/limits/{segment(account)}"
    tell_one(desk.remote.ask("PUT", place, body=body).value, desk.form)


@limits.command(cls=Command, without=("accounts",), short_help="Remove a limit.")
@click.argument("tenant")
@click.argument("account")
@click.pass_obj
def rm(desk: Desk, tenant: str, account: str) -> None:
    """Remove a limit: what those above may use may be used."""
    desk.remote.ask("DELETE", f"/v1/tenants/{segment(tenant)}/limits/{segment(account)}")
