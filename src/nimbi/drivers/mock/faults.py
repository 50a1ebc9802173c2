"""Faults as settings: how the mock cloud is to misbehave, and when."""

from typing import Annotated

import msgspec

LAUNCHES = ("instances.create", "instances.create_many")

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Rate = Annotated[float, msgspec.Meta(gt=0)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When it happens: at calls of operations that match one of the patterns (`instances.*`).

    Of these with a probability, and of what remains at the next `calls` only; None is at all.
    """

    operations: tuple[str, ...] = ("*",)
    probability: Probability = 1.0
    calls: Count | None = None


class Latency(Fault, frozen=True, kw_only=True):
    """The answer takes `seconds`, and up to `jitter_s` more."""

    seconds: Seconds
    jitter_s: Seconds = 0.0


class Outage(Fault, frozen=True, kw_only=True):
    """CloudUnavailable; nothing is done."""


class Throttle(Fault, frozen=True, kw_only=True):
    """Throttled; nothing is done.

    At every n-th call, or at those above `per_s` calls a second (in bursts of up to one second's
    calls, at least one); at each call when neither is set. With a rate and no `retry_after_s`,
    the time until the next free call is told.
    """

    every: Positive | None = None
    per_s: Rate | None = None
    retry_after_s: Seconds | None = None


class NoCapacity(Fault, frozen=True, kw_only=True):
    """OutOfCapacity when an instance is made."""

    operations: tuple[str, ...] = LAUNCHES


class Quota(Fault, frozen=True, kw_only=True):
    """QuotaExceeded when a login would have more than this many instances."""

    instances: Count
    operations: tuple[str, ...] = LAUNCHES


class LostReply(Fault, frozen=True, kw_only=True):
    """UnknownOutcome after the work was done; never at an operation that only reads."""


class StaleList(Fault, frozen=True, kw_only=True):
    """`page` shows the cloud as it was before the last `changes`, and `age_s` ago.

    What was before the fault was set is not known: the cloud as it was then is the oldest shown.
    """

    changes: Count = 0
    age_s: Seconds = 0.0


class ShortPage(Fault, frozen=True, kw_only=True):
    """`page` gives at most `size` items, whatever was asked, and a marker for the rest."""

    size: Positive = 1


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All faults; what is None does not happen. The same seed and calls give the same faults."""

    seed: int = 0
    latency: Latency | None = None
    outage: Outage | None = None
    throttle: Throttle | None = None
    out_of_capacity: NoCapacity | None = None
    quota: Quota | None = None
    lost_reply: LostReply | None = None
    stale_list: StaleList | None = None
    short_page: ShortPage | None = None
