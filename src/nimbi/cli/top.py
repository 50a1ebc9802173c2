"""`nimbi top`."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from nimbi.cli.columns import NONE, columns_of, seconds
from nimbi.cli.command import Command, Desk, Option, words_of
from nimbi.cli.remote import of_account
from nimbi.cli.screen import keep_shown
from nimbi.cli.table import Table, colour, has_colour, is_person
from nimbi.model.errors import CloudError

LOOK_S = 2.0
# Measuring asks the clouds, one call for each machine: seldom, and only for those that are seen.
MEASURE_S = 15.0
MOST_MEASURED = 40
AT_ONCE = 4


# What comes first: what needs somebody, then what moves, then what runs.
ORDER = ("error", "pending", "stopping", "running", "paused", "stopped")


@click.command(
    cls=Command,
    without=("form",),
    short_help="Watch the machines of all clouds.",
    epilog="\b\nExamples:\n  nimbi top\n  nimbi top -a aws\n  nimbi top --once",
)
@click.option("--once", cls=Option, is_flag=True, help="Show it once, as in a pipe.")
@click.option("--cpu/--no-cpu", cls=Option, default=True, help="Ask clouds how busy machines are.")
@click.pass_obj
def top(desk: Desk, once: bool, cpu: bool) -> None:
    """Watch the machines of all clouds: a line for each account, then one for each machine.

    First those in error, then those on their way, then those that run, with how busy they are
    where their clouds measure that. Ctrl-C ends it.
    """
    board = _Board(desk, cpu=cpu)
    if once or not is_person():
        click.echo("\n".join(board.lines(None)))
        return
    keep_shown(board.lines, LOOK_S)


class _Board:
    """What is shown, and what was measured for it."""

    def __init__(self, desk: Desk, *, cpu: bool) -> None:
        self._desk = desk
        self._measures = cpu
        self._measured_at = -MEASURE_S
        self._busy: dict[tuple[str, str], str] = {}

    def lines(self, room: int | None) -> list[str]:
        """Return the lines of the screen, of which `room` are seen."""
        items, parts = self._look()
        items.sort(key=_rank)
        accounts = _account_lines(items, parts)
        left = None if room is None else max(room - len(accounts) - 3, 1)
        shown = items if left is None else items[:left]
        self._measure(shown)
        lines = [*accounts, "", *self._instance_lines(shown)]
        if len(shown) < len(items):
            lines.append(f"… and {len(items) - len(shown)} more")
        return lines

    def _look(self) -> tuple[list[Any], dict[str, Any]]:
        query = [("account", ",".join(self._desk.accounts))] if self._desk.accounts else []
        if self._desk.remote.is_here:
            query.append(("fresh", "true"))
        items: list[Any] = []
        parts: dict[str, Any] = {}
        for page in self._desk.remote.each("/v1/instances", query):
            items += page["items"]
            parts |= {part["account"]: part for part in page["accounts"]}
        return items, parts

    def _measure(self, items: Sequence[Any]) -> None:
        if not self._measures or time.monotonic() - self._measured_at < MEASURE_S:
            return
        self._measured_at = time.monotonic()
        running = [item for item in items if item["state"] == "running"][:MOST_MEASURED]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = threads.map(self._busy_of, running)
            self._busy = {
                (item["account"], item["id"]): busy
                for item, busy in zip(running, found, strict=True)
            }

    def _busy_of(self, item: Any) -> str:
        place = of_account(item["account"], "metrics", item["id"])
        try:
            metric = self._desk.remote.ask("GET", place, timeout_s=10.0).value
        except CloudError:
            return NONE
        return busy_of(metric)

    def _instance_lines(self, items: list[Any]) -> list[str]:
        columns = columns_of("instances", items)
        rows = [
            [column.cell(item) for column in columns]
            + [self._busy.get((item["account"], item["id"]), NONE)]
            for item in items
        ]
        titles = [column.title for column in columns] + ["CPU"]
        state = next(i for i, column in enumerate(columns) if column.is_state)
        firm = [i for i, column in enumerate(columns) if column.firm]
        return Table(titles, firm, state).lines(rows)


def busy_of(metric: Any) -> str:
    """Return how busy a machine was at last, `12%`; `-` when that was not measured."""
    for series in metric.get("series") or []:
        samples = series.get("samples") or []
        if samples and samples[-1].get("unit") == "percent":
            return f"{samples[-1]['average']:.0f}%"
    return NONE


def _rank(item: Any) -> tuple[int, str, str]:
    state = item["state"]
    place = ORDER.index(state) if state in ORDER else len(ORDER)
    return place, item.get("account") or "", item.get("name") or item["id"]


def _account_lines(items: list[Any], parts: dict[str, Any]) -> list[str]:
    """Return a line for each account: how whole its part is, and how many machines are how."""
    rows = []
    for name, part in sorted(parts.items()):
        states = Counter(item["state"] for item in items if item["account"] == name)
        ordered = sorted(states.items(), key=lambda told: _rank({"state": told[0], "id": ""}))
        age = part.get("age_s")
        problem = part.get("problem")
        rows.append(
            [
                name,
                part["state"],
                NONE if age is None else seconds(age),
                ", ".join(f"{count} {state}" for state, count in ordered) or "none",
                f"{words_of(problem['code'])}: {problem['message']}" if problem else "",
            ]
        )
    table = Table(["ACCOUNT", "STATE", "AGE", "INSTANCES", "WHY"], firm=[0], state=1)
    lines = table.lines(rows)
    total = f"{len(items)} instances in {len(parts)} accounts"
    return [colour(total) if has_colour() else total, *lines]
