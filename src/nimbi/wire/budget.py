"""How many requests a server still takes: closed when it says too many, opened again slowly."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

# At each "too many" the rate is cut to this part, once in CUT_S at most: what was allowed before
# the cut is still on its way.
CUT = 0.7
CUT_S = 1.0
SLOWEST_PER_S = 0.2
# The rate grows by as much as it was in this time, and after OPEN_S the server is trusted again.
GROWTH_S = 10.0
OPEN_S = 60.0
# Clocks are no finer than this.
TICK_S = 1e-3


class OverBudget(Exception):
    """A request would have to wait longer than anybody wants; nothing was sent."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"more requests are waiting than the server takes; {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


@dataclass
class _Closed:
    """A budget that was closed at `since`, and had `rate_per_s` then."""

    since: float
    rate_per_s: float
    # When the next request may leave.
    next_at: float
    waiting: int = 0
    # Kept by the one who is next; the others stand in the order in which they came.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def rate_at(self, now: float) -> float:
        return self.rate_per_s * (1 + (now - self.since) / GROWTH_S)


class Budgets:
    """Rates by key, such as (account, region, family). Keys that were never throttled cost nothing.

    A budget is closed by the first `throttled`, to `first_per_s` requests a second, and cut by each
    later one, once a second at most. It grows from then on, and is gone after a minute of peace.
    Requests leave in the order in which they came; one that would wait longer than `patience_s` is
    refused. `clock` counts seconds; the default is the running loop's.
    """

    def __init__(
        self,
        *,
        patience_s: float = 15.0,
        most: int = 10_000,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._patience_s = patience_s
        self._most = most
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._closed: OrderedDict[Hashable, _Closed] = OrderedDict()

    async def leave(self, key: Hashable) -> None:
        """Wait for the turn of one request. Raises OverBudget, at once, when that is too long."""
        closed = self._closed.get(key) if self._closed else None
        if closed is None:
            return
        now = self._clock()
        if now - closed.since > OPEN_S:
            self._closed.pop(key, None)
            return
        wait_s = max(0.0, closed.next_at - now) + closed.waiting / closed.rate_at(now)
        if wait_s > self._patience_s:
            raise OverBudget(wait_s)
        closed.waiting += 1
        try:
            async with closed.turn:
                await self._reached(closed)
                now = self._clock()
                closed.next_at = now + 1 / closed.rate_at(now)
        finally:
            closed.waiting -= 1

    def throttled(
        self, key: Hashable, left_at: float, first_per_s: float, retry_after_s: float | None = None
    ) -> None:
        """Close the budget: the server refused a request that left at `left_at` of the clock.

        Requests that left before it was closed the last time say nothing about the new rate. None
        leaves before `retry_after_s`, if the server named a time.
        """
        now = self._clock()
        closed = self._closed.get(key)
        if closed is None or now - closed.since > OPEN_S:
            closed = self._closed[key] = _Closed(now, first_per_s, now)
            self._closed.move_to_end(key)
            while len(self._closed) > self._most:
                self._closed.popitem(last=False)
        elif left_at >= closed.since + CUT_S:
            closed.rate_per_s = max(SLOWEST_PER_S, CUT * closed.rate_at(now))
            closed.since = now
        pause_s = max(1 / closed.rate_per_s, retry_after_s or 0.0)
        closed.next_at = max(closed.next_at, now + pause_s)

    def now(self) -> float:
        """Return what the clock says: the `left_at` of a request that leaves now."""
        return self._clock()

    def rate_per_s(self, key: Hashable) -> float | None:
        """Return how many requests a second may leave now; None is any number."""
        closed = self._closed.get(key)
        now = self._clock()
        return None if closed is None or now - closed.since > OPEN_S else closed.rate_at(now)

    async def _reached(self, closed: _Closed) -> None:
        left_s = closed.next_at - self._clock()
        # It may be closed more while somebody waits.
        while left_s > TICK_S:
            await asyncio.sleep(left_s)
            left_s = closed.next_at - self._clock()
