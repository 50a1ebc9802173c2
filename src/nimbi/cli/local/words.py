"""Numbers and progress as people read them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Progress = Callable[[str, float | None], None]

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
STEP = 1024


def size(count: int) -> str:
    """Return a number of bytes with its unit: 1.5 GiB; empty for none."""
    if not count:
        return ""
    value, unit = float(count), 0
    while value >= STEP and unit < len(UNITS) - 1:
        value, unit = value / STEP, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if value >= 10 or not unit else f"{value:.1f} {UNITS[unit]}"


@contextmanager
def progress() -> Iterator[Progress]:
    """Give what is told of each step: a bar for a person, a line a step for a program.

    Both go to standard error: standard output has the result alone.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def tell(step: str, share: float | None) -> None:
            bar.update(task, description=step, total=None if share is None else 1, completed=share)

        yield tell


def _lines() -> Progress:
    told = ""

    def tell(step: str, _share: float | None) -> None:
        nonlocal told
        if step != told:
            told = step
            click.echo(step, err=True)

    return tell
