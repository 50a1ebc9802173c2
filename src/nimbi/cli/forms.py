"""Tells items: as tables for people, as JSON, YAML, CSV or names for programs."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from nimbi.cli.columns import NONE, Column, text
from nimbi.cli.table import Table, colour, has_colour, visible

# What takes a whole screen and is for programs only.
HIDDEN = frozenset({"extra"})

# Characters that JSON may hold as they are, and terminals act upon: controls, and turns of the
# writing direction, which can make text read as another.
TURNS = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
ACTIVE = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *TURNS)}

Columns = Callable[[list[Any]], tuple[Column, ...]]


class Teller:
    """Tells the items of one list, which may come in several pages.

    Names are `account:id`, which commands take in the place of an id.
    """

    def __init__(self, form: str, columns: Columns) -> None:
        self._tell = {
            "table": self._table,
            "json": self._json,
            "yaml": self._yaml,
            "csv": self._csv,
            "name": self._name,
        }[form]
        self._form = form
        self._columns_of = columns
        self._columns: tuple[Column, ...] = ()
        self._lines: Table | None = None
        self.count = 0

    def tell(self, items: list[Any]) -> None:
        """Print some more items."""
        if items or (self._form == "csv" and not self._columns):
            self._tell(items)
            self.count += len(items)

    def end(self) -> None:
        """Print what comes after the last item."""
        if self._form == "json":
            click.echo("\n]" if self.count else "[]")
        elif self._form == "yaml" and not self.count:
            click.echo("[]")

    def _table(self, items: list[Any]) -> None:
        if self._lines is None:
            self._columns = self._columns_of(items)
            numbered = list(enumerate(self._columns))
            self._lines = Table(
                [column.title for column in self._columns],
                firm=[i for i, column in numbered if column.firm],
                state=next((i for i, column in numbered if column.is_state), -1),
            )
        rows = [[column.cell(item) for column in self._columns] for item in items]
        click.echo("\n".join(self._lines.lines(rows)))

    def _json(self, items: list[Any]) -> None:
        parts = [as_json(item) for item in items]
        click.echo((",\n" if self.count else "[\n") + ",\n".join(parts), nl=False)

    def _yaml(self, items: list[Any]) -> None:
        click.echo(as_yaml(items), nl=False)

    def _csv(self, items: list[Any]) -> None:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        if not self._columns:
            self._columns = self._columns_of([])
            writer.writerow([column.title.lower().replace(" ", "_") for column in self._columns])
        for item in items:
            cells = [column.cell(item) for column in self._columns]
            writer.writerow(["" if cell == NONE else visible(cell) for cell in cells])

    def _name(self, items: list[Any]) -> None:
        click.echo("\n".join(name_of(item) for item in items))


def tell_all(items: list[Any], columns: tuple[Column, ...], form: str) -> None:
    """Print the items of a list that is there as a whole."""
    tell_pages([{"items": items}], columns, form)


def tell_pages(pages: Iterable[Any], columns: tuple[Column, ...], form: str) -> None:
    """Print the items of a list that comes in pages, each when it is there."""
    teller = Teller(form, lambda _items: columns)
    for page in pages:
        teller.tell(page["items"])
    teller.end()


def name_of(item: Mapping[str, Any]) -> str:
    """Return how a command names a thing: `aws:i-1`."""
    account = item.get("account")
    return visible(f"{account}:{item['id']}" if account else str(item.get("id", "")))


def tell_one(item: Any, form: str) -> None:
    """Print one thing, or whatever else an operation gave."""
    if form == "json":
        click.echo(as_json(item))
    elif form == "yaml":
        click.echo(as_yaml(item), nl=False)
    elif form == "name" and isinstance(item, dict):
        click.echo(name_of(item))
    elif form == "csv" and isinstance(item, dict):
        _csv_of(item)
    elif isinstance(item, dict):
        told = {k: v for k, v in item.items() if k not in HIDDEN and text(v) != NONE}
        click.echo("\n".join(_facts(told)))
    else:
        click.echo(visible(text(item)))


def as_json(value: Any) -> str:
    """Return JSON as people can read it, without what a terminal would act upon."""
    return json.dumps(value, indent=1, ensure_ascii=False).translate(ACTIVE)


def as_yaml(value: Any) -> str:
    import yaml

    written: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return written


def _csv_of(item: Mapping[str, Any]) -> None:
    import csv

    shown = {k: v for k, v in item.items() if k not in HIDDEN}
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(shown)
    writer.writerow(["" if text(v) == NONE else visible(text(v)) for v in shown.values()])


def _facts(item: Mapping[str, Any]) -> list[str]:
    """Return a line a field, the names in one column."""
    room = max(map(len, item), default=0) + 1
    lines: list[str] = []
    for name, value in item.items():
        shown = [_fact(name, one) for one in _several(value)]
        title = f"{name.replace('_', ' ')}:".ljust(room)
        lines.append(f"{title} {shown[0]}".rstrip())
        lines += [f"{' ' * room} {more}" for more in shown[1:]]
    return lines


def _fact(name: str, value: Any) -> str:
    # A key is only of use with its line breaks.
    if name in {"private_key", "text"} and isinstance(value, str):
        return value.rstrip("\n")
    shown = visible(text(value))
    return colour(shown) if name == "state" and has_colour() else shown


def _several(value: Any) -> Sequence[Any]:
    """Return the lines of a value: one for each struct in a list."""
    is_list = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    return value if is_list else [value]
