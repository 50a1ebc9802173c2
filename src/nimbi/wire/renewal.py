"""A secret that expires, fetched once for all who wait, and again before its end."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

# Services of a machine have new keys at least five minutes before the old ones expire.
SOON = timedelta(minutes=15)
# What is left is no more trusted to last for one call.
LAST = timedelta(minutes=1)
# Some sources give the same secret again until the old one is nearly over.
BETWEEN = timedelta(minutes=1)


@dataclass(frozen=True)
class Lease(Generic[T]):
    """A secret; `expires_at` None is never."""

    value: T = field(repr=False)
    expires_at: datetime | None = None


class Renewed(Generic[T]):
    """A secret that is fetched once for all who wait, and again before it expires.

    The last quarter of an hour of the old one is used while a new one is fetched; only in its last
    minute does anybody wait, and only when it is over does a fetch that fails hurt. `what` names it
    in the log.
    """

    def __init__(
        self,
        what: str,
        fetch: Callable[[], Awaitable[Lease[T]]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._what = what
        self._fetch = fetch
        self._clock = clock
        self._lease: Lease[T] | None = None
        self._task: asyncio.Task[Lease[T]] | None = None
        self._tried_at: datetime | None = None

    async def value(self) -> T:
        """Return a secret that is good for a call. Raises what fetching it raises."""
        lease = self._lease
        if lease is None:
            return await self._begun()
        if lease.expires_at is None:
            return lease.value
        now = self._clock()
        left = lease.expires_at - now
        if left > SOON:
            return lease.value
        if left > LAST:
            if self._tried_at is None or now - self._tried_at > BETWEEN:
                self._task = self._begin()
            return lease.value
        if left > timedelta():
            try:
                return await self._begun()
            except Exception:  # noqa: BLE001  the old one is still good, whatever went wrong
                return lease.value
        return await self._begun()

    @property
    def at_hand(self) -> T | None:
        """What was fetched last, if it was not refused."""
        return None if self._lease is None else self._lease.value

    def refuse(self, value: T) -> None:
        """Take note that a secret is not accepted; the next who asks gets another one."""
        if self._lease is not None and self._lease.value == value:
            self._lease = None

    async def aclose(self) -> None:
        """Stop what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _begun(self) -> T:
        return (await asyncio.shield(self._begin())).value

    def _begin(self) -> "asyncio.Task[Lease[T]]":
        if self._task is None or self._task.done():
            self._tried_at = self._clock()
            loop = asyncio.get_running_loop()
            # The request that happened to come first may be cancelled, and is none of the others'.
            self._task = loop.create_task(self._renew(), context=contextvars.Context())
            self._task.add_done_callback(self._noted)
        return self._task

    async def _renew(self) -> Lease[T]:
        self._lease = lease = await self._fetch()
        return lease

    def _noted(self, task: "asyncio.Task[Lease[T]]") -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        # Who waits is told by the error itself.
        if self._lease is not None:
            log.warning("%s could not be renewed: %s", self._what, error)
