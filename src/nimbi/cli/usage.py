"""`nimbi usage`: what was used, and what it costs."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from nimbi.cli.columns import Column, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one, tell_pages
from nimbi.cli.named import named, named_pages
from nimbi.cli.remote import Query

EPILOG = """\b
Examples:
  nimbi usage                               this month so far, by tenant and meter
  nimbi usage --month 2030-03 --by account,day --zone Europe/Berlin
  nimbi usage --by tag.team --chart team.svg
  nimbi usage --intervals -a aws            each time in which something was used"""

BAR = 24

INTERVALS = (
    Column("ACCOUNT", field("account")),
    Column("COLLECTION", field("collection")),
    Column("ID", field("thing_id"), firm=True),
    Column("STATE", field("state"), is_state=True),
    Column("KIND", field("kind")),
    Column("AMOUNT", field("amount")),
    Column("FROM", field("begin"), firm=True),
    Column("UNTIL", field("until"), firm=True),
    Column("TENANT", field("tenant")),
)


@click.command(cls=Command, short_help="What was used, and what it costs.", epilog=EPILOG)
@click.option("--month", cls=Option, metavar="MONTH", help="As 2030-03. [default: this month]")
@click.option("--from", "begin", cls=Option, metavar="TIME", help="From a time on.")
@click.option("--until", cls=Option, metavar="TIME", help="Until a time. [default: now]")
@click.option("--zone", cls=Option, metavar="ZONE", help="Whose months and days. [default: UTC]")
@click.option("--tenant", cls=Option, metavar="ID", help="Of a tenant and those below it.")
@click.option(
    "--by",
    cls=Option,
    metavar="NAMES",
    help="What a row is about: tenant, account, meter, kind, realm, day, tag.NAME.",
)
@click.option("--chart", cls=Option, metavar="FILE", help="Write a drawing (SVG) to this file.")
@click.option("--intervals", cls=Option, is_flag=True, help="Each time in which it was used.")
@click.pass_obj
def usage(
    desk: Desk,
    month: str | None,
    begin: str | None,
    until: str | None,
    zone: str | None,
    tenant: str | None,
    by: str | None,
    chart: str | None,
    intervals: bool,
) -> None:
    """Tell what was used and what it costs, of all clouds, in the tenant that you act in."""
    told = {"begin": begin, "until": until, "tenant": tenant}
    told["account"] = ",".join(desk.accounts) or None
    if intervals:
        _intervals(desk, _query(told))
        return
    query = _query(told | {"month": month, "zone": zone, "by": by})
    if chart is not None:
        drawn = desk.remote.ask("GET", "/v1/usage", [*query, ("form", "svg")]).value
        Path(chart).write_bytes(drawn)
        return
    report = desk.remote.ask("GET", "/v1/usage", query).value
    if desk.form == "json":
        tell_one(report, desk.form)
        return
    rows = named(desk, [_row(report["by"], row) for row in report["rows"]])
    tell_all(rows, columns_of(report["by"], rows, desk.form), desk.form)
    unpriced = sum(row["unpriced"] for row in rows)
    if unpriced and desk.form == "table":
        click.echo(f"{unpriced} kinds of use have no price: nimbi prices set", err=True)


def columns_of(by: list[str], rows: list[Any], form: str) -> tuple[Column, ...]:
    """Return the columns of a report: what it is by, the figures, and a bar for people."""
    found = [Column(name.upper(), field(name), firm=True) for name in by]
    if "meter" in by:
        found += [Column("QUANTITY", field("quantity")), Column("UNIT", field("unit"))]
    found += [
        Column("AMOUNT", field("amount"), firm=True),
        Column("CURRENCY", field("currency")),
    ]
    if form == "table":
        most = max((Decimal(row["amount"]) for row in rows), default=Decimal(0))
        found.append(Column("", lambda row: _bar(row, most)))
    return tuple(found)


def _row(by: list[str], row: Any) -> Any:
    return dict(zip(by, row["key"], strict=True)) | row | {"id": " ".join(row["key"])}


def _bar(row: Any, most: Decimal) -> str:
    from nimbi.broker.metering.chart import bar

    return bar(Decimal(row["amount"]), most, BAR) or " "


def _intervals(desk: Desk, query: Query) -> None:
    tell_pages(
        named_pages(desk, desk.remote.each("/v1/usage/intervals", query)), INTERVALS, desk.form
    )


def _query(told: dict[str, str | None]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in told.items() if value is not None]
