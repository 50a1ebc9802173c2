"""`nimbi prices`: what a unit of what is used costs."""

from pathlib import Path
from typing import Any

import click

from nimbi.cli.columns import Column, field, since
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_one, tell_pages
from nimbi.cli.remote import segment
from nimbi.model.metering import Meter, PriceUnit

EPILOG = """\b
Examples:
  nimbi prices set instances.running 0.12 EUR -a local --kind m1-small
  nimbi prices import prices.csv
  nimbi prices fetch -a aws                      those that EC2 publishes
  nimbi prices import --ec2 index.csv -a aws     the same, from a file
  nimbi prices list -a aws"""

METERS = [meter.value for meter in Meter]
UNITS = [unit.value for unit in PriceUnit]


def _age(item: Any) -> str:
    """Return how old what is told is: since its source was published, if that says so."""
    return since(item.get("published_at") or item["created_at"])


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("ACCOUNT", field("account")),
    Column("METER", field("meter")),
    Column("KIND", field("kind")),
    Column("PRICE", field("amount"), firm=True),
    Column("CURRENCY", field("currency")),
    Column("PER", field("unit")),
    Column("FROM", field("valid_from")),
    Column("UNTIL", field("valid_until")),
    Column("SOURCE", field("source")),
    Column("AGE", _age),
)


@click.group(short_help="What a unit of what is used costs.", epilog=EPILOG)
def prices() -> None:
    """Say what a unit of what is used costs: by account, kind and time."""


@prices.command("list", cls=Command, short_help="List prices.")
@click.option("--meter", cls=Option, type=click.Choice(METERS), help="Only of this.")
@click.pass_obj
def list_prices(desk: Desk, meter: str | None) -> None:
    """List prices, each with its source and how old it is; of an account also those of all."""
    query = [("account", desk.account)] if desk.account else []
    query += [("meter", meter)] if meter else []
    tell_pages(desk.remote.each("/v1/prices", query), COLUMNS, desk.form)


@prices.command("set", cls=Command, short_help="Say what something costs.", epilog=EPILOG)
@click.argument("meter", type=click.Choice(METERS))
@click.argument("amount")
@click.argument("currency")
@click.option("--per", cls=Option, type=click.Choice(UNITS), help="[default: hour or gib]")
@click.option("--kind", cls=Option, metavar="ID", help="A hardware profile, a kind of volume.")
@click.option("--realm", cls=Option, metavar="ID", help="Only there.")
@click.option("--from", "begin", cls=Option, metavar="TIME", help="From a time on.")
@click.option("--until", cls=Option, metavar="TIME", help="Until a time.")
@click.pass_obj
def set_price(
    desk: Desk,
    meter: str,
    amount: str,
    currency: str,
    per: str | None,
    kind: str | None,
    realm: str | None,
    begin: str | None,
    until: str | None,
) -> None:
    """Say what an hour, a month or a GiB of something costs, of one account (-a) or of all."""
    usual = PriceUnit.GIB if meter.startswith("traffic") else PriceUnit.HOUR
    price = {
        "meter": meter,
        "amount": amount,
        "currency": currency,
        "unit": per or usual.value,
        "account": desk.account,
        "kind": kind,
        "realm_id": realm,
        "valid_from": begin,
        "valid_until": until,
    }
    _tell(desk, desk.remote.ask("POST", "/v1/prices", body={"prices": [price]}).value)


@prices.command("import", cls=Command, short_help="Read prices of a file.", epilog=EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--ec2", cls=Option, is_flag=True, help="It is an offer file (CSV) of EC2.")
@click.option("--region", cls=Option, metavar="NAME", help="Only of this region of the file.")
@click.pass_obj
def import_prices(desk: Desk, file: str, ec2: bool, region: str | None) -> None:
    """Read prices of a CSV file: titles first, such as meter,amount,currency,unit,account,kind.

    The offer files of EC2 are at
    https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/REGION/index.csv
    """
    if not ec2:
        body = {"csv": Path(file).read_text(encoding="utf-8-sig"), "origin": Path(file).name}
        _tell(desk, desk.remote.ask("POST", "/v1/prices", body=body).value)
        return
    if desk.account is None:
        raise click.UsageError("an offer file is for one account: -a")
    from nimbi.cli import price_lists

    with Path(file).open(encoding="utf-8-sig", newline="") as lines:
        name, account = Path(file).name, desk.account
        _tell(desk, price_lists.send(desk, lines, account=account, region=region, origin=name))


@prices.command(cls=Command, short_help="Read the prices that a cloud publishes.", epilog=EPILOG)
@click.option("--region", cls=Option, metavar="NAME", help="[default: that of the account]")
@click.option("--url", cls=Option, metavar="URL", help="Another place of the same list.")
@click.pass_obj
def fetch(desk: Desk, region: str | None, url: str | None) -> None:
    """Read the prices that the cloud of an account (-a) publishes; EC2 does, by region.

    Its list of a region has some hundred MiB, and is read as it comes. The same list again changes
    nothing.
    """
    from nimbi.cli import price_lists

    if desk.account is None:
        raise click.UsageError("a price list is for one account: -a")
    account = desk.account
    region, place = price_lists.place_of(desk, account, region)
    place = url or place
    with price_lists.published(place) as lines:
        _tell(desk, price_lists.send(desk, lines, account=account, region=region, origin=place))


@prices.command(cls=Command, without=("accounts",), short_help="End prices.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def end(desk: Desk, ids: tuple[str, ...]) -> None:
    """Let prices hold no longer; what was used before is charged by them."""
    for id in ids:
        desk.remote.ask("DELETE", f"/v1/prices/{segment(id)}")


def _tell(desk: Desk, made: Any) -> None:
    if desk.form == "table":
        click.echo(f"new prices: {made['added']}; known already: {made['unchanged']}")
    else:
        tell_one(made, desk.form)
