"""How often a cloud is asked again: quick while things change, slow while they do not."""

from collections.abc import Mapping
from dataclasses import dataclass

from nimbi.model.errors import CloudError, Throttled, Unauthorized, Unsupported


@dataclass(frozen=True)
class Pace:
    """The bounds of one collection's interval, in seconds."""

    quickest_s: float
    changed_s: float
    slowest_s: float


USUAL = Pace(quickest_s=2.0, changed_s=10.0, slowest_s=300.0)
# What the cloud's owner changes, not its users; some clouds have ten thousand images.
SELDOM = Pace(quickest_s=60.0, changed_s=600.0, slowest_s=3600.0)
PACES: Mapping[str, Pace] = {
    "realms": SELDOM,
    "hardware_profiles": SELDOM,
    "images": Pace(quickest_s=5.0, changed_s=120.0, slowest_s=1800.0),
}

# Making and removing one kind of thing changes others, and so does joining them.
NEIGHBOURS: Mapping[str, tuple[str, ...]] = {
    "instances": ("volumes", "addresses", "network_interfaces"),
    "volumes": ("instances",),
    "addresses": ("instances",),
    "network_interfaces": ("instances",),
    "subnets": ("networks",),
}

# States that pass by themselves.
TRANSIT = frozenset({"pending", "stopping", "start"})
# A thing that is in transit for longer is stuck: it is looked at ever less often.
GROWTH_IN_TRANSIT = 1.25
GROWTH = 1.6

FAILED_S = 5.0
FAILED_GROWTH = 2.0
# A login that was refused is not tried often: some clouds lock those that are.
REFUSED_S = 60.0


@dataclass(frozen=True)
class Seen:
    """What one answer showed: whether anything changed, and whether anything is in transit."""

    changed: bool
    in_transit: bool


def pace_of(collection: str) -> Pace:
    """Return the bounds of a collection's interval."""
    return PACES.get(collection, USUAL)


def after_answer(pace: Pace, last_s: float | None, seen: Seen) -> float:
    """Return the seconds until the next question; `last_s` is the interval before, None at first.

    While things are in transit it begins with the quickest, and grows slowly when they stay so.
    """
    if seen.in_transit:
        if seen.changed or last_s is None or last_s > pace.changed_s:
            return pace.quickest_s
        return min(pace.changed_s, max(pace.quickest_s, last_s * GROWTH_IN_TRANSIT))
    if seen.changed or last_s is None:
        return pace.changed_s
    return min(pace.slowest_s, max(pace.changed_s, last_s * GROWTH))


def after_failure(pace: Pace, last_s: float | None, error: CloudError) -> float:
    """Return the seconds until the next question after one that failed.

    What a cloud asks for when it throttles is kept in full.
    """
    if isinstance(error, Unsupported):
        return max(pace.slowest_s, SELDOM.slowest_s)
    least_s = REFUSED_S if isinstance(error, Unauthorized) else FAILED_S
    grown_s = max(least_s, (last_s or 0.0) * FAILED_GROWTH)
    wait_s = min(max(pace.slowest_s, least_s), grown_s)
    if isinstance(error, Throttled) and error.retry_after_s is not None:
        return max(wait_s, error.retry_after_s)
    return wait_s
