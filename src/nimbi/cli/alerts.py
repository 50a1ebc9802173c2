"""`nimbi alerts`: what is wrong, and the silences in which nobody is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from nimbi.cli.columns import Column, age, field, until
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import tell_all, tell_one
from nimbi.cli.remote import segment

EPILOG = """\b
Examples:
  nimbi alerts list
  nimbi alerts silence --hours 2 -a aws --comment "we move"
  nimbi alerts silences"""

ALERTS, SILENCES = "/v1/alerts", "/v1/silences"
STATES = ("pending", "firing", "resolved")


def _state(item: Any) -> str:
    return f"{item['state']} (silenced)" if item.get("silenced") else str(item["state"])


COLUMNS = (
    Column("ID", field("id"), firm=True),
    Column("NAME", field("name")),
    Column("STATE", _state, is_state=True),
    Column("BEGAN", age("began_at")),
    Column("WHAT", field("summary")),
)
QUIET = (
    Column("ID", field("id"), firm=True),
    Column("ACCOUNT", field("account")),
    Column("SOURCE", field("source")),
    Column("ENDS IN", lambda item: until(item["ends_at"])),
    Column("BY", field("by")),
    Column("COMMENT", field("comment")),
)


@click.group(short_help="What is wrong, and who is told.", epilog=EPILOG)
def alerts() -> None:
    """Show what is wrong, and silence it."""


@alerts.command("list", cls=Command, without=("accounts",), short_help="List alerts.")
@click.option(
    "--state",
    cls=Option,
    multiple=True,
    type=click.Choice(STATES),
    help="Only these. [default: pending, firing]",
)
@click.option("--all", "everything", cls=Option, is_flag=True, help="Those that are over too.")
@click.option("--source", cls=Option, metavar="ID", help="Only of this check or objective.")
@click.pass_obj
def list_alerts(desk: Desk, state: tuple[str, ...], everything: bool, source: str | None) -> None:
    """List alerts, the latest first."""
    told = () if everything else state or STATES[:2]
    query = [("limit", "1000")]
    query += [("state", ",".join(told))] if told else []
    query += [("source", source)] if source else []
    tell_all(desk.remote.ask("GET", ALERTS, query).value["items"], COLUMNS, desk.form)


@alerts.command(cls=Command, without=("accounts",), short_help="Show an alert.")
@click.argument("id")
@click.pass_obj
def show(desk: Desk, id: str) -> None:
    """Show an alert."""
    tell_one(desk.remote.ask("GET", f"{ALERTS}/{segment(id.rpartition(':')[2])}").value, desk.form)


@alerts.command("silences", cls=Command, without=("accounts",), short_help="List silences.")
@click.pass_obj
def list_silences(desk: Desk) -> None:
    """List the times in which nobody is told."""
    tell_all(desk.remote.ask("GET", SILENCES).value["items"], QUIET, desk.form)


@alerts.command(cls=Command, short_help="Tell nobody for a time.", epilog=EPILOG)
@click.option("--hours", cls=Option, type=float, default=1.0, show_default=True)
@click.option("--source", cls=Option, metavar="ID", help="Only of this check or objective.")
@click.option("--comment", cls=Option, default="", metavar="TEXT", help="Why.")
@click.pass_obj
def silence(desk: Desk, hours: float, source: str | None, comment: str) -> None:
    """Tell nobody of alerts, and restart nothing, from now on for some hours.

    Of one account (-a), of one check or objective (--source), or of all.
    """
    ends_at = datetime.now(UTC) + timedelta(hours=hours)
    new: dict[str, Any] = {"ends_at": ends_at.isoformat(), "comment": comment}
    # Not the usual account of the settings: a silence is told in so many words.
    new |= {"account": desk.named[0]} if desk.named else {}
    new |= {"source": source} if source else {}
    tell_one(desk.remote.ask("POST", SILENCES, body=new).value, desk.form)


@alerts.command(cls=Command, without=("accounts",), short_help="End silences.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def unsilence(desk: Desk, ids: tuple[str, ...]) -> None:
    """End silences at once."""
    for id in ids:
        desk.remote.ask("DELETE", f"{SILENCES}/{segment(id.rpartition(':')[2])}")
