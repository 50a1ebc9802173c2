"""`nimbi holdings` and `nimbi limits`: whose things are, and what may be used of accounts."""

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from nimbi.cli.columns import NONE, Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one, tell_pages
from nimbi.cli.named import named, named_one, named_pages
from nimbi.cli.remote import of_account, segment
from nimbi.model.holdings import MILLION, amount_told

HOLDINGS = (
    Column("TENANT", field("tenant")),
    Column("ACCOUNT", field("account")),
    Column("COLLECTION", field("collection")),
    Column("NAME", field("name"), firm=True),
    Column("ID", field("thing_id"), firm=True),
    Column("STATE", field("state"), is_state=True),
    Column("AGE", age("created_at")),
)


def _price(item: Any) -> str:
    most = item.get("price_hour_micros")
    return NONE if most is None else amount_told("price_hour_micros", most)


LIMITS = (
    Column("TENANT", field("tenant")),
    Column("ACCOUNT", field("account")),
    Column("REGIONS", field("regions")),
    Column("SIZES", field("sizes")),
    Column("PRICE/H", _price),
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
    tell_pages(named_pages(desk, desk.remote.each("/v1/holdings", where)), HOLDINGS, desk.form)


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
  nimbi limits set acme/web aws --region 'eu-*' --size t3.micro --price 0.05
  nimbi limits list acme/web""",
)
def limits() -> None:
    """Say which regions and sizes of an account tenants may use, and at which price."""


@limits.command("list", cls=Command, without=("accounts",), short_help="List limits.")
@click.argument("tenant", required=False)
@click.pass_obj
def list_limits(desk: Desk, tenant: str | None) -> None:
    """List the limits of a domain or project, and those of all above it, which hold too.

    Without a TENANT it is the one in which you act.
    """
    tenant = tenant or str(desk.remote.ask("GET", "/v1/login").value["tenant"])
    items = desk.remote.ask("GET", f"/v1/tenants/{segment(tenant)}/limits").value["items"]
    tell_all(named(desk, items), LIMITS, desk.form)


@limits.command("set", cls=Command, without=("accounts",), short_help="Set a limit.")
@click.argument("tenant")
@click.argument("account")
@click.option("--region", "regions", cls=Option, multiple=True, metavar="NAME",
              help="A realm, or how its id begins: 'eu-*'.")  # fmt: skip
@click.option("--size", "sizes", cls=Option, multiple=True, metavar="NAME",
              help="A hardware profile, or how its id begins.")  # fmt: skip
@click.option("--price", cls=Option, metavar="AMOUNT",
              help="The most that a new thing may cost an hour: 0.05.")  # fmt: skip
@click.pass_obj
def set_limit(
    desk: Desk, tenant: str, account: str, regions: tuple[str, ...], sizes: tuple[str, ...],
    price: str | None,
) -> None:  # fmt: skip
    """Limit what a domain or project, and all below it, may use of an account."""
    body: dict[str, Any] = {
        "regions": list(regions) or None,
        "sizes": list(sizes) or None,
        "price_hour_micros": None if price is None else micros(price),
    }
    place = f"/v1/tenants/{segment(tenant)}/limits/{segment(account)}"
    tell_one(named_one(desk, desk.remote.ask("PUT", place, body=body).value), desk.form)


@limits.command(cls=Command, without=("accounts",), short_help="Remove a limit.")
@click.argument("tenant")
@click.argument("account")
@click.pass_obj
def rm(desk: Desk, tenant: str, account: str) -> None:
    """Remove a limit: what those above may use may be used."""
    desk.remote.ask("DELETE", f"/v1/tenants/{segment(tenant)}/limits/{segment(account)}")


def micros(amount: str) -> int:
    """Return an amount of money in millionths. Raises UsageError for what is none."""
    try:
        found = Decimal(amount) * MILLION
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0 or found != int(found):
        raise click.UsageError(f"{amount}: an amount is a number such as 0.05")
    return int(found)
