"""`nimbi objectives`: how good checks are meant to be, and how good they are."""

from typing import Any

import click

from nimbi.cli.columns import NONE, Cell, Column, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi objectives create shop CHECK CHECK --target 99.9 --days 30
  nimbi objectives list"""

PLACE = "/v1/objectives"


def _standing(name: str, unit: str = " %") -> Cell:
    def cell(item: Any) -> str:
        value = item["standing"].get(name)
        return NONE if value is None else f"{value:g}{unit}"

    return cell


def _goal(item: Any) -> str:
    return f"{item['target_percent']:g} % over {item['window_days']} days"


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("NAME", field("name")),
    Column("GOAL", _goal),
    Column("GOOD", _standing("good_percent")),
    Column("BUDGET LEFT", _standing("budget_left_percent")),
    Column("BURNS 1H", _standing("burn_rate_1h", "x")),
    Column("BURNS 6H", _standing("burn_rate_6h", "x")),
)


@click.group(short_help="How good checks are meant to be.", epilog=EPILOG)
def objectives() -> None:
    """Say how many results of checks are to be good; who listens is told when it will not do."""


@objectives.command("list", cls=Command, without=("accounts",), short_help="List objectives.")
@click.pass_obj
def list_objectives(desk: Desk) -> None:
    """List objectives and how they stand."""
    tell_all(desk.remote.ask("GET", PLACE).value["items"], COLUMNS, desk.form)


@objectives.command(cls=Command, without=("accounts",), short_help="Set one.", epilog=EPILOG)
@click.argument("name")
@click.argument("checks", nargs=-1, required=True, metavar="CHECK...")
@click.option("--target", cls=Option, type=float, default=99.9, show_default=True, metavar="%")
@click.option("--days", cls=Option, type=int, default=30, show_default=True, metavar="N")
@click.option("--email", cls=Option, multiple=True, metavar="ADDRESS", help="Who is written to.")
@click.pass_obj
def create(
    desk: Desk,
    name: str,
    checks: tuple[str, ...],
    target: float,
    days: int,
    email: tuple[str, ...],
) -> None:
    """Say how many results of some checks, by their ids, are to be good."""
    new = {
        "name": name,
        "checks": list(checks),
        "target_percent": target,
        "window_days": days,
        "emails": list(email),
    }
    tell_one(desk.remote.ask("POST", PLACE, body=new).value, desk.form)


@objectives.command(cls=Command, without=("accounts",), short_help="Show one.")
@click.argument("id")
@click.pass_obj
def show(desk: Desk, id: str) -> None:
    """Show an objective and how it stands."""
    tell_one(desk.remote.ask("GET", f"{PLACE}/{segment(id)}").value, desk.form)


@objectives.command(cls=Command, without=("accounts",), short_help="Remove objectives.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def rm(desk: Desk, ids: tuple[str, ...]) -> None:
    """Remove objectives; their alerts are over."""
    for id in ids:
        desk.remote.ask("DELETE", f"{PLACE}/{segment(id)}")
