"""Times as the database keeps them: whole microseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def stored(at: datetime) -> int:
    """Return an aware time as it is kept."""
    return (at - EPOCH) // MICROSECOND


def stored_or_none(at: datetime | None) -> int | None:
    """Return an aware time as it is kept, None for None."""
    return None if at is None else stored(at)


def moment(us: int) -> datetime:
    """Return the time that is kept so."""
    return EPOCH + timedelta(microseconds=us)


def moment_or_none(us: int | None) -> datetime | None:
    """Return the time that is kept so, None for None."""
    return None if us is None else moment(us)


def micro(seconds: float) -> int:
    """Return seconds as whole microseconds."""
    return int(seconds * 1_000_000)
