"""Numbers, times and states as this API writes them."""

from datetime import UTC, datetime

from nimbi.model.hardware_profiles import Sizes, Value

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Name of the property on the wire and its unit, by the name in the model.
PROPERTIES = {
    "cpus": ("cpu", "count"),
    "memory_mib": ("memory", "MB"),
    "storage_gib": ("storage", "GB"),
    "architecture": ("architecture", "label"),
    "root_type": ("root_type", "label"),
    "gpus": ("gpus", "count"),
}


def number(value: Value) -> str:
    """Return a number as text, without a fraction when it is whole: `1740.8`, `2`."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def date_text(at: datetime | None) -> str | None:
    """Return `Thu Jul 30 14:35:11 UTC 2009`; day and month are English whatever the locale."""
    if at is None:
        return None
    utc = at.astimezone(UTC)
    return (
        f"{DAYS[utc.weekday()]} {MONTHS[utc.month - 1]} {utc.day:02} "
        f"{utc.hour:02}:{utc.minute:02}:{utc.second:02} UTC {utc.year}"
    )


def iso_text(at: datetime | None) -> str | None:
    """Return `2013-11-20T22:53:48Z`."""
    if at is None:
        return None
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def blob_time(at: datetime | None) -> str | None:
    """Return `2013-11-20 22:53:48 +0000`."""
    if at is None:
        return None
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat(" ") + " +0000"


def sizes(given: Sizes) -> dict[str, str]:
    """Return sizes by their names on the wire: `{"memory": "12288"}`."""
    return {PROPERTIES[name][0]: number(value) for name, value in given.given().items()}
