"""Times as headers of HTTP tell them."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 86400.0


def seconds(told: str | None) -> float | None:
    """Return what Retry-After says, when it says seconds or a date; None when it says neither."""
    if not told:
        return None
    if told.isascii() and told.strip().isdecimal():
        return min(float(told), LONGEST_S)
    date = date_of(told)
    return None if date is None else max(0.0, (date - datetime.now(UTC)).total_seconds())


def date_of(told: str | None) -> datetime | None:
    """Return the time of a header such as Date; None for what is none."""
    if not told:
        return None
    try:
        time = parsedate_to_datetime(told)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
