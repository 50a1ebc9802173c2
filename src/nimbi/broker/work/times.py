"""When a schedule is due: cron expressions in a time zone, over changes to daylight saving too."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nimbi.model.errors import Invalid

SECOND = timedelta(seconds=1)
# Changes of a zone's clock are further apart.
STRIDE = timedelta(hours=6)
# Times of a sparse expression that are looked at: between two of them clocks may change.
MOST_LOOKS = 200

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")
_FIELD = re.compile(r"[0-9a-z*/,-]+")
_WORD = re.compile("[a-z]+")


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of a name: `Europe/Berlin`. Raises Invalid for one that is not known."""
    # The name becomes a path.
    if _ZONE.fullmatch(name) is not None:
        with suppress(ZoneInfoNotFoundError, OSError, ValueError):
            return ZoneInfo(name)
    raise Invalid(f"there is no time zone {name[:60]!r}: Europe/Berlin is one")


def check_cron(cron: str) -> None:
    """Raise Invalid for what is no cron expression of five fields."""
    fields = cron.lower().split()
    is_plain = len(fields) == 5 and all(map(_FIELD.fullmatch, fields))
    words = {word for field in fields for word in _WORD.findall(field)}
    is_plain = is_plain and words.issubset((*MONTHS, *DAYS))
    if not is_plain or not _library().is_valid(" ".join(fields)):
        raise Invalid(
            f"{cron[:60]!r} is no cron expression: minute, hour, day of month, month, day of week"
        )


def next_due(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first time after another at which an expression is due, in UTC.

    Local times that the clock leaves out count at the first moment after the change, those that
    come twice count the first time. With a `*` as minute or hour, local times that are left out
    do not count, and those that come twice count twice: it goes by time as it passes. Raises
    Invalid for an expression that is none, or is never due.
    """
    check_cron(cron)
    fields = cron.lower().split()
    try:
        if fields[0].startswith("*") or fields[1].startswith("*"):
            return _passing(" ".join(fields), zone, after)
        return _by_the_clock(" ".join(fields), zone, after)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{cron[:60]!r} is never due") from error


def _library() -> Any:
    # Its errors are ValueErrors. A server without schedules does not load it.
    from croniter import croniter

    return croniter


def _by_the_clock(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    walls = _library()(cron, _wall(after, zone))
    while True:
        wall: datetime = walls.get_next(datetime)
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if _wall(moment, zone) != wall:
            # The clock leaves it out.
            moment = _change_before(moment, zone)
        if moment > after:
            return moment


def _passing(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Look at one stretch of time after the other in which the clock goes on evenly."""
    base, offset = _wall(after, zone), _offset(after, zone)
    for _ in range(MOST_LOOKS):
        wall: datetime = _library()(cron, base).get_next(datetime)
        moment = wall.replace(tzinfo=UTC) - offset
        if _offset(moment, zone) == offset:
            return moment
        after = _change_after(after, moment, offset, zone)
        offset = _offset(after, zone)
        base = _wall(after, zone) - SECOND
    raise Invalid(f"{cron[:60]!r} is never due")


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clock shows, to the second."""
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0, fold=0)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _change_after(early: datetime, late: datetime, offset: timedelta, zone: ZoneInfo) -> datetime:
    """Return the first moment between two at which the offset is another than told."""
    early = early.astimezone(UTC).replace(microsecond=0)
    while early + STRIDE < late and _offset(early + STRIDE, zone) == offset:
        early += STRIDE
    late = min(late, early + STRIDE)
    while late - early > SECOND:
        middle = early + (late - early) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle, zone) == offset:
            early = middle
        else:
            late = middle
    return late


def _change_before(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clock was moved that leaves out the local time of this moment.

    By the offset from before the change, the time left out is after it.
    """
    early = moment - timedelta(days=1)
    return _change_after(early, moment, _offset(early, zone), zone)
