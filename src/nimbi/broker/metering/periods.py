"""Months and days as clocks of a time zone have them, in whole seconds since 1970."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nimbi.model.errors import Invalid

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
# What days can be told of.
FIRST, LAST = 1970, 2199


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name: `Europe/Berlin`. Raises Invalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"there is no time zone {name[:60]!r}; one is Europe/Berlin") from error


def month(text: str, zone: ZoneInfo) -> tuple[int, int]:
    """Return where a month (`2030-03`) begins and ends; a change of clocks gives it other hours.

    Raises Invalid.
    """
    found = _MONTH.fullmatch(text)
    if found is None or not FIRST <= int(found[1]) <= LAST:
        raise Invalid(f"a month is as 2030-03, from {FIRST} to {LAST}")
    first = date(int(found[1]), int(found[2]), 1)
    return midnight(first, zone), midnight(_next_month(first), zone)


def month_at(at_s: int, zone: ZoneInfo) -> str:
    """Return the month in which a moment is: `2030-03`."""
    return f"{datetime.fromtimestamp(at_s, zone):%Y-%m}"


def days(begin_s: int, until_s: int, zone: ZoneInfo) -> Iterator[tuple[str, int, int]]:
    """Yield the days of a time, each with where it begins and ends; the first and last are cut."""
    day = datetime.fromtimestamp(begin_s, zone).date()
    while (start := midnight(day, zone)) < until_s:
        following = day + timedelta(days=1)
        yield day.isoformat(), max(begin_s, start), min(until_s, midnight(following, zone))
        day = following


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return when a day begins; where clocks skip midnight, when they would have shown it."""
    return int(datetime.combine(day, time(), zone).timestamp())


def moment(at_s: int) -> datetime:
    """Return seconds since 1970 as a time."""
    return datetime.fromtimestamp(at_s, UTC)


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)
