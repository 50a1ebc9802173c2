"""`nimbi events`."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.following import followed
from nimbi.cli.forms import as_yaml
from nimbi.cli.table import colour, has_colour, visible

PLACE = "/v1/events"


@click.command(
    cls=Command,
    short_help="Tell what changes, as it happens.",
    epilog="""\b
Examples:
  nimbi events
  nimbi events -a aws --collection instances -o json | jq -r .thing_id
  nimbi events --after 0 --no-follow       all that is remembered""",
)
@click.option("--collection", cls=Option, multiple=True, metavar="NAME", help="Only of these.")
@click.option(
    "--after", cls=Option, type=click.IntRange(min=0), metavar="ID", help="From this one on."
)
@click.option("--follow/--no-follow", cls=Option, default=True, help="Wait for more, for ever.")
@click.pass_obj
def events(desk: Desk, collection: tuple[str, ...], after: int | None, follow: bool) -> None:
    """Tell what changes in all clouds: what appeared, changed or vanished, one line each.

    A connection that breaks is made again, and nothing is missed. With -o json each event is one
    line of JSON.
    """
    query = [("collection", ",".join(collection))] if collection else []
    if desk.accounts:
        query.append(("account", ",".join(desk.accounts)))
    if desk.remote.is_here and follow:
        raise click.UsageError("no server runs that could tell: nimbi up")
    following = followed(desk, PLACE, query, after, number="id")
    for event in following if follow else _known(desk, query, after or 0):
        _tell(event, desk.form)
        sys.stdout.flush()


def _known(desk: Desk, query: list[tuple[str, str]], after: int) -> Iterator[Any]:
    while True:
        page = desk.remote.ask("GET", PLACE, [*query, ("after", str(after))]).value
        yield from page["items"]
        if page["next"] == after:
            return
        after = page["next"]


def _tell(event: Any, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(event))
    elif form == "yaml":
        click.echo(as_yaml([event]), nl=False)
    elif form == "name":
        click.echo(visible(f"{event['account']}:{event['thing_id']}"))
    else:
        click.echo(line(event))


def line(event: Any) -> str:
    """Return an event as people read it: `12:00:03 aws instances i-1 web changed running`."""
    body = event.get("body") or {}
    state = event.get("state") or ""
    parts = (
        event["at"][11:19],
        event["account"],
        event["collection"],
        event["thing_id"],
        body.get("name") or "",
        event["kind"],
    )
    shown = [visible(part) for part in parts if part]
    shown.append(colour(visible(state)) if has_colour() else visible(state))
    return " ".join(shown).rstrip()
