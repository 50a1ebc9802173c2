"""`nimbi COLLECTION list`: one list over all accounts, and what each account gave to it."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from nimbi.cli.columns import columns_of, seconds
from nimbi.cli.command import Command, Desk, Option, words_of
from nimbi.cli.errors import INCOMPLETE, status_of
from nimbi.cli.forms import Teller, as_json
from nimbi.cli.refs import singular
from nimbi.cli.table import is_person

# What lists over all accounts are filtered by: the flag, the API's name, what it says.
FILTERS = (
    ("--name", "name", "NAME", "Only with this name; NAME* for all that begin so."),
    ("--state", "state", "STATE", "Only in this state, such as running."),
    ("--id", "id", "ID", "Only with this id."),
    ("--realm", "realm_id", "ID", "Only in this realm."),
    ("--image", "image_id", "ID", "Only of this image."),
    ("--profile", "hardware_profile_id", "ID", "Only of this hardware profile."),
)

SORTS = "id, name, state, realm_id, created_at, account"

# How an account's part of a list is worse than that of another page.
WORSE = ("ok", "stale", "partial", "failed")

WATCH_S = 2.0
CLEAR = "\x1b[H\x1b[2J"


def list_command(collection: str) -> click.Command:
    """Return the command that lists a collection over all accounts."""
    things = words_of(collection)
    name = collection.replace("_", "-")
    return Command(
        "list",
        callback=click.pass_obj(_run(collection)),
        params=_options(),
        short_help=f"List {things}, of all accounts or some.",
        help=f"""List {things} of all accounts, or of those that are named, in one list.

        It comes from what Nimbi knows; --fresh asks the clouds. An account that could not tell, or
        only what it told before, is named on standard error, and the exit status is {INCOMPLETE}.
        """,
        epilog=f"""\b
Examples:
  nimbi {name} list
  nimbi {name} list -a aws -a local --fresh
  nimbi {name} list --name 'web*' --sort -created_at --limit 10
  nimbi {name} list --state running -o name
  nimbi {name} list -o json | jq -r '.[].id'""",
    )


def _options() -> list[click.Parameter]:
    filters = [
        Option([wish, flag], metavar=metavar, help=text) for flag, wish, metavar, text in FILTERS
    ]
    return [
        *filters,
        Option(["--tag"], multiple=True, metavar="NAME=VALUE", help="Only with this tag."),
        Option(["--sort"], metavar="FIELD", help=f"By {SORTS}; -created_at: the latest first."),
        Option(["--limit"], type=click.IntRange(min=1), help="At most so many. [default: all]"),
        Option(["--fresh"], is_flag=True, help="Ask the clouds now."),
        Option(
            ["--deadline"],
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="How long --fresh waits for clouds; those that are late count as failed.",
        ),
        Option(["--watch"], is_flag=True, help="Show it again and again, until Ctrl-C."),
    ]


def _run(collection: str) -> Any:
    def run(desk: Desk, /, watch: bool, **told: Any) -> None:
        query = _query(desk, told)
        if watch:
            _watch(desk, collection, query, told["limit"])
        teller = Teller(desk.form, lambda items: columns_of(collection, items))
        parts: dict[str, Any] = {}
        for items in _pages(desk, collection, query, told["limit"], parts):
            teller.tell(items)
        teller.tell([])
        teller.end()
        if desk.form == "table" and sys.stderr.isatty():
            click.echo(summary(collection, teller.count, parts), err=True)
        tell_parts(parts)

    return run


def _query(desk: Desk, told: dict[str, Any]) -> list[tuple[str, str]]:
    query = [(wish, told[wish]) for _, wish, _, _ in FILTERS if told[wish] is not None]
    query = [
        ("name_prefix", value[:-1]) if name == "name" and value.endswith("*") else (name, value)
        for name, value in query
    ]
    for tag in told["tag"]:
        name, equals, value = tag.partition("=")
        if not equals:
            raise click.BadParameter(f"{tag!r} is not NAME=VALUE", param_hint="--tag")
        query.append((f"tags.{name}", value))
    if desk.accounts:
        query.append(("account", ",".join(desk.accounts)))
    if told["sort"]:
        query.append(("sort", told["sort"]))
    # Nobody keeps the inventory fresh while no server runs.
    if told["fresh"] or desk.remote.is_here:
        query.append(("fresh", "true"))
    if told["deadline"]:
        query.append(("deadline", f"{told['deadline']:g}"))
    return query


def _pages(
    desk: Desk,
    collection: str,
    query: list[tuple[str, str]],
    limit: int | None,
    parts: dict[str, Any],
) -> Iterator[list[Any]]:
    for page in desk.remote.each(f"/v1/{collection}", query, limit):
        for part in page["accounts"]:
            before = parts.get(part["account"])
            if before is None or WORSE.index(before["state"]) < WORSE.index(part["state"]):
                parts[part["account"]] = part
        yield page["items"]
        if limit and page.get("next"):
            note = f"there are more {words_of(collection)} than the {limit} shown"
            click.echo(note, err=True)


def summary(collection: str, count: int, parts: dict[str, Any]) -> str:
    """Return a line on a whole list: `3 instances in 2 accounts, 4s old`."""
    what = singular(collection) if count == 1 else words_of(collection)
    where = "1 account" if len(parts) == 1 else f"{len(parts)} accounts"
    ages = [part["age_s"] for part in parts.values() if part.get("age_s") is not None]
    age = f", {seconds(max(ages))} old" if ages and max(ages) >= 1 else ""
    return f"{count} {what} in {where}{age}"


def part_text(part: dict[str, Any]) -> str:
    """Return what is wrong with an account's part of a list."""
    problem = part.get("problem")
    why = f"{words_of(problem['code'])}: {problem['message']}" if problem else "no reason told"
    old = part.get("age_s")
    age = f", {seconds(old)} old" if part["state"] == "stale" and old is not None else ""
    return f"{part['account']} is {part['state']}{age}: {why}"


def tell_parts(parts: dict[str, Any]) -> None:
    """Name the accounts that gave less than all, and end the command with a fitting status then.

    When no account gave anything, all for the same reason, it is that of the reason.
    """
    bad = [part for part in parts.values() if part["state"] != "ok"]
    if not bad:
        return
    for part in bad:
        click.echo(part_text(part), err=True)
    codes = {part["problem"]["code"] for part in bad if part.get("problem")}
    nothing = all(part["state"] == "failed" for part in parts.values())
    raise SystemExit(status_of(codes.pop()) if nothing and len(codes) == 1 else INCOMPLETE)


def _watch(desk: Desk, collection: str, query: list[tuple[str, str]], limit: int | None) -> None:
    """Show a list anew every two seconds: whole for a person, what is new in it for a program."""
    shown: dict[tuple[str, str], Any] = {}
    while True:
        parts: dict[str, Any] = {}
        items = [item for page in _pages(desk, collection, query, limit, parts) for item in page]
        if is_person() and desk.form == "table":
            click.echo(CLEAR, nl=False)
            _tell_whole(collection, items)
            click.echo(summary(collection, len(items), parts))
            for part in parts.values():
                if part["state"] != "ok":
                    click.echo(part_text(part))
        else:
            fresh = {(item.get("account", ""), item["id"]): item for item in items}
            _tell_news(desk.form, collection, [i for k, i in fresh.items() if shown.get(k) != i])
            shown = fresh
        sys.stdout.flush()
        time.sleep(WATCH_S)


def _tell_whole(collection: str, items: list[Any]) -> None:
    teller = Teller("table", lambda told: columns_of(collection, told))
    teller.tell(items)
    teller.end()


def _tell_news(form: str, collection: str, items: list[Any]) -> None:
    if form == "json":
        # One document a line, so that a program can read them as they come.
        for item in items:
            click.echo(" ".join(as_json(item).split("\n")))
        return
    teller = Teller(form, lambda told: columns_of(collection, told))
    teller.tell(items)
