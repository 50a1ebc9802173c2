"""Accounts as tables show them."""

from collections.abc import Mapping
from typing import Any

import click

from nimbi.cli.columns import Column, age, field, since
from nimbi.cli.command import Desk, words_of
from nimbi.cli.forms import tell_all


def _health(item: Mapping[str, Any]) -> str:
    state = str(item["health"]["state"])
    return state if item["is_enabled"] else f"disabled ({state})"


def _why(item: Mapping[str, Any]) -> str:
    problem = item["health"].get("problem")
    return f"{words_of(problem['code'])}: {problem['message']}" if problem else "-"


COLUMNS = (
    Column("NAME", field("id"), firm=True),
    Column("DRIVER", field("driver")),
    Column("PROVIDER", field("provider")),
    Column("HEALTH", _health, is_state=True),
    Column("SINCE", lambda item: since(item["health"].get("since"))),
    Column("WHY", _why),
    Column("AGE", age("created_at")),
)


def tell(desk: Desk, items: list[Any]) -> None:
    """Print accounts; one that is never told why it failed has no such column."""
    shown = tuple(c for c in COLUMNS if c.title != "WHY" or any(c.cell(i) != "-" for i in items))
    tell_all(items, shown, desk.form)
    if not items and desk.form == "table":
        click.echo("There is no account yet: nimbi accounts discover, or add.", err=True)
