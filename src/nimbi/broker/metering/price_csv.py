"""Price lists as CSV: a line of titles, then a price a line."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from nimbi.broker.metering.charges import fits
from nimbi.model.errors import Invalid
from nimbi.model.metering import NewPrice

TITLES = NewPrice.__struct_fields__[1:]
NEEDED = ("meter", "amount", "currency")
MOST = 100_000
# What a price can be: no unit of anything costs more, and none is told finer.
LARGEST, FINEST = Decimal(10) ** 12, -12


def prices_in(text: str) -> Iterator[NewPrice]:
    """Yield the prices of a table; an empty cell is a field that is not told.

    Titles are fields of NewPrice, in any order. Raises Invalid with the line's number.
    """
    rows = csv.reader(text.splitlines(), strict=True)
    try:
        titles = [title.strip() for title in next(rows, [])]
        _check_titles(titles)
        for cells in rows:
            if not any(cells):
                continue
            if len(cells) != len(titles):
                raise Invalid(f"line {rows.line_num}: {len(titles)} cells were to come")
            yield _price(dict(zip(titles, cells, strict=True)), rows.line_num)
    except csv.Error as error:
        raise Invalid(f"line {rows.line_num}: {error}") from error


def checked(prices: Iterable[NewPrice]) -> tuple[NewPrice, ...]:
    """Return prices that can be charged. Raises Invalid for one that cannot, and for too many."""
    found: list[NewPrice] = []
    for price in prices:
        check(price)
        found.append(price)
        if len(found) > MOST:
            raise Invalid(f"there are more than {MOST} prices: send them in several requests")
    return tuple(found)


def check(price: NewPrice) -> None:
    """Raise Invalid for a price that cannot be charged."""
    exponent = price.amount.as_tuple().exponent
    if not (price.amount.is_finite() and 0 <= price.amount < LARGEST):
        raise Invalid(f"a price is from 0 to less than {LARGEST}")
    if not isinstance(exponent, int) or exponent < FINEST:
        raise Invalid(f"a price has at most {-FINEST} decimals")
    if not fits(price.meter, price.unit):
        raise Invalid(f"{price.meter.value} is not priced by the {price.unit.value}")
    times = [price.valid_from, price.valid_until]
    if any(time is not None and time.tzinfo is None for time in times):
        raise Invalid("valid_from and valid_until need a time zone")
    if price.valid_from and price.valid_until and price.valid_from >= price.valid_until:
        raise Invalid("a price ends after it begins")


def _check_titles(titles: list[str]) -> None:
    for title in titles:
        if title not in TITLES:
            raise Invalid(f"there is no column {title[:60]!r}; there are {', '.join(TITLES)}")
    if len(set(titles)) < len(titles):
        raise Invalid("a column comes twice")
    for title in NEEDED:
        if title not in titles:
            raise Invalid(f"the column {title} is missing")


def _price(cells: Mapping[str, str], line: int) -> NewPrice:
    told: dict[str, Any] = {name: cell.strip() for name, cell in cells.items() if cell.strip()}
    try:
        price: NewPrice = msgspec.convert(told, NewPrice, strict=False)
        check(price)
    except (msgspec.ValidationError, Invalid) as error:
        raise Invalid(f"line {line}: {error}") from error
    return price
