"""Jobs as they go on: a screen of all of them, a line of one."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from nimbi.cli.columns import since
from nimbi.cli.command import Desk
from nimbi.cli.jobs import COLUMNS, ENDS, bar, ended, leave, path_of, what
from nimbi.cli.screen import CLEAR_LINE, keep_shown
from nimbi.cli.table import Table, cut, is_person, visible
from nimbi.model.errors import CloudUnavailable, Timeout

LOOK_S = 1.0
# What a screen shows moves at least so often.
WAIT_S = 1
# Jobs that have ended stay on the screen among those that go on.
MOST_ENDED = 10

GOING_ON = "queued,running,cancelling"


def is_seen() -> bool:
    """Return whether somebody looks at standard error."""
    return sys.stderr.isatty()


def watch(desk: Desk, id: str | None) -> None:
    """Show all jobs, or one until its end."""
    if id is not None:
        job = ended(desk, desk.remote.ask("GET", path_of(desk, id)).value)
        click.echo(f"{job['state']}: {visible(what(job))}")
        leave(job)
        return
    if not is_person():
        click.echo("\n".join(_lines(desk, None)))
        return
    keep_shown(lambda room: _seen(desk, room), LOOK_S)


@contextmanager
def line() -> Iterator[Callable[[Any], None]]:
    """Give a function that shows how far a job is, on one line that is gone in the end."""

    def tell(job: Any) -> None:
        if is_seen():
            room = shutil.get_terminal_size().columns - 1
            text = f"{bar(job)} {visible(what(job))} ({since(job['created_at'])})"
            click.echo(f"\r{cut(text, room)[:room]}{CLEAR_LINE}", nl=False, err=True)

    try:
        yield tell
    finally:
        if is_seen():
            click.echo(f"\r{CLEAR_LINE}", nl=False, err=True)


def _seen(desk: Desk, room: int) -> list[str]:
    """Return what the screen shows; that nobody answers when a server is away."""
    try:
        return _lines(desk, room)
    except (CloudUnavailable, Timeout) as error:
        return [f"the server is away: {error}"]


def _lines(desk: Desk, room: int | None) -> list[str]:
    ask = desk.remote.ask
    moving = ask("GET", "/v1/jobs", [("state", GOING_ON), ("limit", "200")]).value["items"]
    over = ask(
        "GET", "/v1/jobs", [("state", ",".join(sorted(ENDS))), ("limit", str(MOST_ENDED))]
    ).value["items"]
    items: Sequence[Any] = [*moving, *over]
    shown = items if room is None else items[: max(1, room - 3)]
    rows = [[column.cell(item) for column in COLUMNS] for item in shown]
    firm = [i for i, column in enumerate(COLUMNS) if column.firm]
    state = next(i for i, column in enumerate(COLUMNS) if column.is_state)
    going = "1 job goes on" if len(moving) == 1 else f"{len(moving)} jobs go on"
    head = f"{going}; ended last: {len(over)}"
    return [head, "", *Table([c.title for c in COLUMNS], firm, state).lines(rows)]
