"""`nimbi budgets`: what tenants may spend in a month."""

from decimal import Decimal
from typing import Any

import click

from nimbi.cli.columns import Column, age, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.named import named, named_one
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi budgets create 500 EUR --tenant PROJECT --warn-at 80 --warn-at 100
  nimbi budgets change BUDGET --stop
  nimbi budgets list"""

BAR = 16


def _spent(item: Any) -> str:
    from nimbi.broker.metering.chart import bar

    spent, amount = Decimal(item["spent"]), Decimal(item["amount"])
    percent = spent * 100 / amount
    return f"{bar(min(spent, amount), amount, BAR):{BAR}} {percent:.0f} %"


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("TENANT", field("tenant")),
    Column("AMOUNT", field("amount"), firm=True),
    Column("CURRENCY", field("currency")),
    Column("SPENT", field("spent")),
    Column("", _spent, firm=True),
    Column("WARNS AT", field("warn_at")),
    Column("STOPS", field("stops_launches")),
    Column("AGE", age("spent_at")),
)


PERCENT = click.IntRange(1, 1000)


@click.group(short_help="What tenants may spend in a month.", epilog=EPILOG)
def budgets() -> None:
    """Say what tenants may spend in a month; who listens is warned, and launches can be stopped."""


@budgets.command("list", cls=Command, without=("accounts",), short_help="List budgets.")
@click.pass_obj
def list_budgets(desk: Desk) -> None:
    """List the budgets that concern you, and what is spent of them."""
    tell_all(named(desk, desk.remote.ask("GET", "/v1/budgets").value["items"]), COLUMNS, desk.form)


@budgets.command(cls=Command, without=("accounts",), short_help="Set a budget.", epilog=EPILOG)
@click.argument("amount")
@click.argument("currency")
@click.option("--tenant", cls=Option, metavar="PLACE", help="Whose: acme/web. [default: root]")
@click.option("--zone", cls=Option, default="UTC", metavar="ZONE", help="Whose months count.")
@click.option("--stop", cls=Option, is_flag=True, help="Refuse to make more when it is spent.")
@click.option("--warn-at", cls=Option, multiple=True, type=PERCENT, help="[default: 50 80 100]")
@click.pass_obj
def create(
    desk: Desk,
    amount: str,
    currency: str,
    tenant: str | None,
    zone: str,
    stop: bool,
    warn_at: tuple[int, ...],
) -> None:
    """Say what a tenant, and all below it together, may spend in a month."""
    new: dict[str, Any] = {"amount": amount, "currency": currency, "zone": zone}
    new |= {"tenant": tenant} if tenant else {}
    new |= {"warn_at": warn_at} if warn_at else {}
    body = new | {"stops_launches": stop}
    tell_one(named_one(desk, desk.remote.ask("POST", "/v1/budgets", body=body).value), desk.form)


@budgets.command(cls=Command, without=("accounts",), short_help="Change a budget.")
@click.argument("id")
@click.option("--amount", cls=Option, metavar="AMOUNT", help="How much it is from now on.")
@click.option("--stop/--go", cls=Option, default=None, help="Whether launches are refused.")
@click.option("--warn-at", cls=Option, multiple=True, type=PERCENT, help="Tell it then.")
@click.pass_obj
def change(
    desk: Desk, id: str, amount: str | None, stop: bool | None, warn_at: tuple[int, ...]
) -> None:
    """Change a budget; its warnings are told anew."""
    wish = {"amount": amount, "stops_launches": stop, "warn_at": warn_at or None}
    body = {name: value for name, value in wish.items() if value is not None}
    tell_one(
        named_one(desk, desk.remote.ask("PATCH", f"/v1/budgets/{segment(id)}", body=body).value),
        desk.form,
    )


@budgets.command(cls=Command, without=("accounts",), short_help="Remove budgets.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def rm(desk: Desk, ids: tuple[str, ...]) -> None:
    """Remove budgets."""
    for id in ids:
        desk.remote.ask("DELETE", f"/v1/budgets/{segment(id)}")
