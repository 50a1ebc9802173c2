"""Tables for people: aligned, as wide as the terminal at most, safe to look at, calm in pipes."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

GAP = "  "
NARROWEST = 8

# What a state says to somebody who only glances: the colours of `colour`.
GOOD = frozenset({"running", "available", "in-use", "up", "ok", "yes", "done", "resolved"})
PASSING = frozenset(
    {"pending", "stopping", "partial", "stale", "unknown", "paused", "queued", "cancelling"}
)
BAD = frozenset({"error", "failed", "down", "firing", "cancelled"})
COLOURS = {"32": GOOD, "33": PASSING, "31": BAD}


def is_person() -> bool:
    """Return whether somebody looks at standard output."""
    return sys.stdout.isatty()


def has_colour() -> bool:
    """Return whether colours are welcome; NO_COLOR (https://no-color.org) refuses them."""
    return is_person() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def visible(text: str) -> str:
    """Return text on one line that does nothing to a terminal: ESC reads as its escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def width(text: str) -> int:
    """Return how many columns text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def colour(text: str) -> str:
    """Return the text of a state in its colour."""
    word = text.partition(" ")[0]
    code = next((c for c, words in COLOURS.items() if word in words), None)
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


class Table:
    """Columns that line up. `firm` columns are never cut, as people copy what is in them.

    Their widths are those of the first rows that are shown, and of the terminal.
    """

    def __init__(self, titles: Sequence[str], firm: Iterable[int] = (), state: int = -1) -> None:
        self._titles = titles
        self._firm = frozenset(firm)
        self._state = state
        self._widths: list[int] = []
        self._colours = has_colour()

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Return the lines of rows; before the first ones, that of the titles."""
        shown = [[visible(cell) for cell in row] for row in rows]
        if self._widths:
            return [self._line(row) for row in shown]
        self._widths = [
            max(map(width, column)) for column in zip(self._titles, *shown, strict=True)
        ]
        if is_person():
            self._shrink(shutil.get_terminal_size().columns)
        return [self._line(self._titles, is_head=True), *(self._line(row) for row in shown)]

    def _shrink(self, room: int) -> None:
        """Take from the widest columns that may be cut until all of them fit."""
        over = sum(self._widths) + len(GAP) * (len(self._widths) - 1) - room
        while over > 0:
            loose = [i for i in range(len(self._widths)) if i not in self._firm]
            widest = max(loose, key=lambda i: self._widths[i], default=None)
            if widest is None or self._widths[widest] <= NARROWEST:
                return
            self._widths[widest] -= 1
            over -= 1

    def _line(self, cells: Sequence[str], *, is_head: bool = False) -> str:
        last = len(cells) - 1
        parts = []
        for index, (cell, room) in enumerate(zip(cells, self._widths, strict=True)):
            text = cell if index in self._firm else cut(cell, room)
            padding = "" if index == last else " " * (room - width(text))
            shown = colour(text) if self._colours and index == self._state else text
            parts.append(shown + padding)
        line = GAP.join(parts).rstrip()
        return f"\x1b[1m{line}\x1b[0m" if is_head and self._colours else line


def cut(text: str, room: int) -> str:
    """Return text that takes at most `room` columns; what is cut ends in `…`."""
    if not is_person() or width(text) <= room:
        return text
    while text and width(text) >= room:
        text = text[:-1]
    return text + "…"
