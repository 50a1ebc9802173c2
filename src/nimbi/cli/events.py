"""`nimbi events`."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.forms import as_yaml
from nimbi.cli.table import colour, has_colour, visible
from nimbi.model.errors import CloudUnavailable, Timeout, UnknownOutcome

# A server says at least this often that there is nothing new.
SILENCE_S = 45.0
AGAIN_S = 2.0


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
    for event in _followed(desk, query, after) if follow else _known(desk, query, after or 0):
        _tell(event, desk.form)
        sys.stdout.flush()


def _known(desk: Desk, query: list[tuple[str, str]], after: int) -> Iterator[Any]:
    while True:
        page = desk.remote.ask("GET", "/v1/events", [*query, ("after", str(after))]).value
        yield from page["items"]
        if page["next"] == after:
            return
        after = page["next"]


def _followed(desk: Desk, query: list[tuple[str, str]], after: int | None) -> Iterator[Any]:
    while True:
        headers = {"Accept": "text/event-stream"}
        since = [("after", str(after))] if after is not None else []
        try:
            answer = desk.remote.stream(
                "GET", "/v1/events", [*query, *since], headers=headers, timeout_s=SILENCE_S
            )
            for event in read_events(answer.chunks()):
                after = event["id"]
                yield event
        except (CloudUnavailable, Timeout, UnknownOutcome) as error:
            if after is None:
                raise
            click.echo(f"{error}; trying again", err=True)
        time.sleep(AGAIN_S)


def read_events(chunks: Iterator[bytes]) -> Iterator[Any]:
    """Yield the JSON of server-sent events, of which comments and retries are left out."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n\n")
        for block in whole:
            data = [line[6:] for line in block.split(b"\n") if line.startswith(b"data: ")]
            if data:
                yield json.loads(b"\n".join(data))


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
