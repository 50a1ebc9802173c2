"""`nimbi bill`: what each tenant owes for a month."""

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one, tell_pages
from nimbi.cli.named import named, named_one, named_pages
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi bill make 2030-03 --zone Europe/Berlin
  nimbi bill list --month 2030-03
  nimbi bill show BILL -o csv
  nimbi bill check BILL                     made again from all that was told"""

# What is the matter with a bill that is not the same again.
DIFFERS = 1

COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("TENANT", field("tenant")),
    Column("MONTH", field("month")),
    Column("ZONE", field("zone")),
    Column("TOTAL", field("total"), firm=True),
    Column("CURRENCY", field("currency")),
    Column("MADE", age("made_at")),
)

LINES = (
    Column("ACCOUNT", field("account")),
    Column("METER", field("meter"), firm=True),
    Column("KIND", field("kind")),
    Column("REALM", field("realm_id")),
    Column("QUANTITY", field("quantity"), firm=True),
    Column("UNIT", field("unit")),
    Column("PRICE", field("price")),
    Column("PER", field("price_unit")),
    Column("AMOUNT", field("amount"), firm=True),
)


@click.group(short_help="What each tenant owes for a month.", epilog=EPILOG)
def bill() -> None:
    """Bills: made once for a month that is over, kept, and made again to see that they fit."""


@bill.command("list", cls=Command, without=("accounts",), short_help="List bills.")
@click.option("--month", cls=Option, metavar="MONTH", help="Only of this month: 2030-03.")
@click.option("--tenant", cls=Option, metavar="ID", help="Of a tenant and those below it.")
@click.pass_obj
def list_bills(desk: Desk, month: str | None, tenant: str | None) -> None:
    """List the bills of the tenant that you act in, and of those below it."""
    query = [(n, v) for n, v in (("month", month), ("tenant", tenant)) if v]
    tell_pages(named_pages(desk, desk.remote.each("/v1/bills", query)), COLUMNS, desk.form)


@bill.command(cls=Command, without=("accounts",), short_help="Make the bills of a month.")
@click.argument("month")
@click.option("--zone", cls=Option, default="UTC", metavar="ZONE", help="Whose month it is.")
@click.pass_obj
def make(desk: Desk, month: str, zone: str) -> None:
    """Make the bills of all tenants for a month that is over. Once made they stay as they are."""
    page = desk.remote.ask("POST", "/v1/bills", body={"month": month, "zone": zone}).value
    tell_all(named(desk, page["items"]), COLUMNS, desk.form)
    if not page["items"] and desk.form == "table":
        click.echo(f"nothing was used in {month}: there is no bill", err=True)


@bill.command(cls=Command, without=("accounts",), short_help="Show a bill with its lines.")
@click.argument("id")
@click.pass_obj
def show(desk: Desk, id: str) -> None:
    """Show a bill with its lines."""
    found = named_one(desk, desk.remote.ask("GET", f"/v1/bills/{segment(id)}").value)
    if desk.form not in {"table", "csv"}:
        tell_one(found, desk.form)
        return
    tell_all(found["lines"], LINES, desk.form)
    if desk.form == "table":
        where = f"{found['month']} ({found['zone']})"
        click.echo(f"\n{found['tenant']} owes {found['total']} {found['currency']} for {where}")


@bill.command(cls=Command, without=("accounts",), short_help="Make a bill again, and compare.")
@click.argument("id")
@click.pass_obj
def check(desk: Desk, id: str) -> None:
    """Make a bill again from all that was told of each thing, and say what differs."""
    found = desk.remote.ask("GET", f"/v1/bills/{segment(id)}/check", timeout_s=600).value
    if desk.form != "table":
        tell_one(found, desk.form)
    else:
        for line in found["differences"]:
            click.echo(line)
        click.echo(f"stored {found['total']}, made again {found['recomputed']}")
    if found["differences"]:
        raise SystemExit(DIFFERS)
