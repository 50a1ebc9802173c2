"""The faults at work: what happens before, during and after each call of an operation."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from nimbi.driver.capabilities import Operation
from nimbi.drivers.mock.faults import Fault, Faults, Quota, Throttle
from nimbi.drivers.mock.world import State, World
from nimbi.model.errors import (
    CloudUnavailable,
    OutOfCapacity,
    QuotaExceeded,
    Throttled,
    UnknownOutcome,
)
from nimbi.model.instances import NewInstance

# States of the past that are kept for lists that are stale by age.
PAST_KEPT = 1000

F = TypeVar("F", bound=Fault)


@dataclass
class Call:
    """One call under way. The injector may change `arguments`, and `past` is what it may see."""

    operation: Operation
    arguments: dict[str, Any]
    user: str | None
    past: State | None = None

    @property
    def is_page(self) -> bool:
        return self.operation.id.endswith(".page")


class Trigger(Generic[F]):
    """One fault with what it must remember: its dice, and how often it may still happen."""

    def __init__(self, fault: F, dice: random.Random) -> None:
        self.fault = fault
        self.dice = dice
        self._left = fault.calls

    def fires(self, call: Call) -> bool:
        if self._left == 0 or not any(
            fnmatchcase(call.operation.id, pattern) for pattern in self.fault.operations
        ):
            return False
        if self.fault.probability < 1 and self.dice.random() >= self.fault.probability:
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Injector:
    """Puts faults around calls. `clock` counts seconds."""

    def __init__(self, faults: Faults, world: World, clock: Callable[[], float]) -> None:
        def armed(name: str, fault: F | None) -> Trigger[F] | None:
            dice = random.Random(f"{faults.seed} {name}")  # noqa: S311  to be repeated, not secret
            return Trigger(fault, dice) if fault else None

        self._world = world
        self._latency = armed("latency", faults.latency)
        self._outage = armed("outage", faults.outage)
        self._throttle = armed("throttle", faults.throttle)
        self._out_of_capacity = armed("out_of_capacity", faults.out_of_capacity)
        self._quota = armed("quota", faults.quota)
        self._lost_reply = armed("lost_reply", faults.lost_reply)
        self._stale_list = armed("stale_list", faults.stale_list)
        self._short_page = armed("short_page", faults.short_page)
        self._meter = _Meter(faults.throttle or Throttle(), clock)
        if stale := faults.stale_list:
            world.remember_past(max(stale.changes, PAST_KEPT if stale.age_s else 0))
        else:
            world.remember_past(0)

    async def before(self, call: Call) -> None:
        """Wait, change what the call asks and sees, or raise in its stead."""
        if (late := self._latency) and late.fires(call):
            await asyncio.sleep(late.fault.seconds + late.dice.random() * late.fault.jitter_s)
        if self._outage and self._outage.fires(call):
            raise CloudUnavailable("the mock cloud can't be reached: an outage was asked for")
        if self._throttle and self._throttle.fires(call):
            self._meter.check()
        self._refuse_launch(call)
        if call.is_page:
            self._spoil_list(call)

    def after(self, call: Call) -> None:
        """Lose the reply of a call that did its work."""
        lost = self._lost_reply
        if lost and not call.operation.is_safe and lost.fires(call):
            raise UnknownOutcome(f"the reply of {call.operation.id} was lost on the way")

    def _refuse_launch(self, call: Call) -> None:
        if self._out_of_capacity and self._out_of_capacity.fires(call):
            raise OutOfCapacity("the mock cloud has no room for another instance")
        if self._quota and self._quota.fires(call):
            self._check_quota(self._quota.fault, call)

    def _check_quota(self, quota: Quota, call: Call) -> None:
        new: NewInstance = call.arguments["new"]
        if self._world.state.made_with(call.operation.id, new.token):
            return
        owned = self._world.state.instances_of(call.user)
        asked = call.arguments.get("count", 1)
        if len(owned) + asked > quota.instances:
            raise QuotaExceeded(
                f"a login may have {quota.instances} instances, and has {len(owned)}"
            )

    def _spoil_list(self, call: Call) -> None:
        if (stale := self._stale_list) and stale.fires(call):
            call.past = self._world.past(stale.fault.changes, stale.fault.age_s)
        if (short := self._short_page) and short.fires(call):
            call.arguments["limit"] = min(call.arguments["limit"], short.fault.size)


class _Meter:
    """Counts calls, and says which are too many."""

    def __init__(self, throttle: Throttle, clock: Callable[[], float]) -> None:
        self._throttle = throttle
        self._clock = clock
        self._calls = 0
        self._burst = max(1.0, throttle.per_s or 0.0)
        self._free = self._burst
        self._counted_at: float | None = None

    def check(self) -> None:
        """Count one call. Raises Throttled when it is one too many."""
        throttle = self._throttle
        self._calls += 1
        if throttle.every is not None and self._calls % throttle.every:
            return
        wait_s = None if throttle.per_s is None else self._wait_s(throttle.per_s)
        if wait_s == 0:
            return
        told = wait_s if throttle.retry_after_s is None else throttle.retry_after_s
        raise Throttled("the mock cloud had too many requests", told)

    def _wait_s(self, per_s: float) -> float:
        now = self._clock()
        passed = 0.0 if self._counted_at is None else now - self._counted_at
        self._counted_at = now
        self._free = min(self._burst, self._free + passed * per_s)
        if self._free >= 1:
            self._free -= 1
            return 0.0
        return (1 - self._free) / per_s
