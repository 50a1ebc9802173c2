"""`nimbi audit`: who did what."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from nimbi.cli.columns import Column, field
from nimbi.cli.command import Command, Desk, Option
from nimbi.cli.errors import fail
from nimbi.cli.following import followed
from nimbi.cli.forms import Teller, as_yaml
from nimbi.cli.named import named
from nimbi.cli.table import visible

PLACE = "/v1/audit"
PAGE = 1000

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

EPILOG = """\b
Examples:
  nimbi audit list --since 2h
  nimbi audit list --user ada --operation 'instances.*' --result forbidden
  nimbi audit follow -a aws
  nimbi audit export --form cloudevents > audit.ndjson
  nimbi audit verify --expect 1204:9f0c…"""

# The filters: the name that the API has, the flag, and what it is.
FILTERS = (
    ("user", "NAME", "Only what this user did, by name or id."),
    ("tenant", "NAME", "Only what was done in this domain or project."),
    ("operation", "NAME", "Only this operation; instances.* is all of a collection."),
    ("thing", "ID", "Only what was done to this."),
    ("result", "CODE", "Only what ended so: ok, open, forbidden, …"),
    ("request-id", "ID", "Only what this request did."),
    ("since", "TIME", "From then on: 2030-01-31T12:00Z, or 90m, 2h, 7d ago."),
    ("until", "TIME", "Up to then."),
)


def _who(item: Any) -> str:
    name, user = item["name"] or "-", item["user"]
    return name if user in ("", name) else f"{name} ({user})"


COLUMNS = (
    Column("NUMBER", field("seq"), firm=True),
    Column("TIME", lambda item: item["at"][:19].replace("T", " ")),
    Column("WHO", _who),
    Column("TENANT", field("tenant")),
    Column("OPERATION", field("operation"), firm=True),
    Column("ACCOUNT", field("account")),
    Column("THING", field("thing")),
    Column("RESULT", field("result"), is_state=True),
    Column("FROM", field("address")),
    Column("REQUEST", field("request_id")),
)


def filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of all filters."""
    for name, metavar, text in reversed(FILTERS):
        option = click.option(f"--{name}", cls=Option, metavar=metavar, help=text)
        command = option(command)
    return click.option(
        "--all", "all_", cls=Option, is_flag=True, help="Also the beginnings of what has ended."
    )(command)


@click.group(short_help="Who did what: list, follow, export, verify.", epilog=EPILOG)
def audit() -> None:
    """Read who did what, from where and with which result; and see whether anybody changed it."""


@audit.command("list", cls=Command, short_help="List what was done.", epilog=EPILOG)
@filtered
@click.option("--limit", cls=Option, type=click.IntRange(min=1), default=50, help="How many.")
@click.pass_obj
def list_entries(desk: Desk, /, limit: int, **wish: Any) -> None:
    """List what was done, the newest first. Beginnings are listed while their end is not known."""
    teller = Teller(desk.form, lambda _items: COLUMNS)
    before: int | None = None
    query = _query(desk, wish)
    while limit > 0:
        marked = [("before", str(before))] if before is not None else []
        size = [("limit", str(min(limit, PAGE)))]
        page = desk.remote.ask("GET", PLACE, [*query, *size, *marked]).value
        items = named(desk, page["items"])
        teller.tell(items if desk.form != "name" else [_numbered(i) for i in items])
        limit -= len(page["items"])
        before = page["next"]
        if len(page["items"]) < int(size[0][1]):
            break
    teller.end()


@audit.command(cls=Command, short_help="Tell what is done, as it is done.", epilog=EPILOG)
@filtered
@click.option("--after", cls=Option, type=click.IntRange(min=0), help="From this number on.")
@click.pass_obj
def follow(desk: Desk, /, after: int | None, **wish: Any) -> None:
    """Tell what is done as it is done, one line each. No entry is missed when a line breaks."""
    if desk.remote.is_here:
        raise click.UsageError("no server runs that could tell: nimbi up")
    for entry in followed(desk, PLACE, _query(desk, wish), after, number="seq"):
        _tell(entry, desk.form)
        sys.stdout.flush()


@audit.command(cls=Command, without=("form",), short_help="Write all as lines of JSON.")
@filtered
@click.option(
    "--form",
    cls=Option,
    type=click.Choice(("json", "cloudevents")),
    default="json",
    help="JSON as it is listed, or CloudEvents 1.0.",
)
@click.option("--after", cls=Option, type=click.IntRange(min=0), help="From this number on.")
@click.pass_obj
def export(desk: Desk, /, form: str, after: int | None, **wish: Any) -> None:
    """Write all entries to standard output, one line each, the oldest first."""
    query = [*_query(desk, wish), ("form", form)]
    if after is not None:
        query.append(("after", str(after)))
    answer = desk.remote.stream("GET", f"{PLACE}/export", query)
    for chunk in answer.chunks():
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


@audit.command(cls=Command, without=("accounts",), short_help="See whether anybody changed it.")
@click.option(
    "--expect", cls=Option, metavar="HEAD", help="The head that an earlier verification has told."
)
@click.pass_obj
def verify(desk: Desk, expect: str | None) -> None:
    """See whether all entries are as they were written; name those that are not.

    The head that is told stands for all entries up to it. Keep it where nobody who can write to the
    database can: only by --expect is it found when the newest were removed or all written anew.
    """
    query = [("expect", expect)] if expect is not None else []
    report = desk.remote.ask("GET", f"{PLACE}/verify", query, timeout_s=None).value
    if desk.form == "table":
        for fault in report["faults"]:
            click.echo(visible(fault["text"]))
        click.echo(f"entries: {report['entries']} ({report['first']} to {report['last']})")
        click.echo(f"head:    {report['head']}")
    elif desk.form == "name":
        click.echo(report["head"])
    else:
        click.echo(as_yaml([report]) if desk.form == "yaml" else json.dumps(report))
    if not report["is_whole"]:
        fail("the audit was changed")


@audit.command(cls=Command, without=("accounts", "form"), short_help="Remove what is old.")
@click.option(
    "--before", cls=Option, metavar="TIME", required=True, help="A time, or 400d ago; 30d at least."
)
@click.pass_obj
def prune(desk: Desk, before: str) -> None:
    """Remove what is older; what is left stays verifiable. The server does it by itself, too."""
    answer = desk.remote.ask("POST", f"{PLACE}/prune", body={"before": moment(before)})
    click.echo(f"removed: {answer.value['removed']}", err=True)


def moment(told: str) -> str:
    """Return a time as the API takes it: of `2h`, so long ago. Raises UsageError."""
    if told[-1:] in UNITS and told[:-1].isdigit() and len(told) < 8:
        ago = timedelta(**{UNITS[told[-1]]: int(told[:-1])})
        return (datetime.now(UTC) - ago).isoformat()
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        raise click.UsageError(f"{told} is no time: 2030-01-31T12:00Z, or 90m, 2h, 7d") from None
    return (found if found.tzinfo else found.astimezone()).isoformat()


def _query(desk: Desk, wish: dict[str, Any]) -> list[tuple[str, str]]:
    query = [("all", "true")] if wish.pop("all_") else []
    for name, value in wish.items():
        if value is not None:
            query.append((name, moment(value) if name in {"since", "until"} else value))
    # Not the account that is meant when none is named: what concerns none would be missing.
    if len(desk.named) > 1:
        raise click.UsageError("this takes one account (-a)")
    return [*query, *(("account", name) for name in desk.named)]


def _numbered(item: Any) -> Any:
    return {"id": str(item["seq"])}


def _tell(entry: Any, form: str) -> None:
    if form in {"json", "csv"}:
        click.echo(json.dumps(entry))
    elif form == "yaml":
        click.echo(as_yaml([entry]), nl=False)
    elif form == "name":
        click.echo(entry["seq"])
    else:
        where = "/".join(part for part in (entry.get("account"), entry.get("thing")) if part)
        parts = (entry["at"][11:19], _who(entry), entry["operation"], where, entry["result"])
        click.echo(" ".join(visible(part) for part in parts if part))
