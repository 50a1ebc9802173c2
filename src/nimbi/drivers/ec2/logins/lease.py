"""Keys with the time at which they expire, and how they are renewed."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nimbi.model.errors import CloudError
from nimbi.wire.sigv4 import Keys

log = logging.getLogger(__name__)

# Services of the machine have new keys at least five minutes before the old ones expire.
SOON = timedelta(minutes=15)
# What is left is no more trusted to last for one call.
LAST = timedelta(minutes=1)
# Some sources give the same keys again until the old ones are nearly over.
BETWEEN = timedelta(minutes=1)


@dataclass(frozen=True)
class Lease:
    """Keys; `expires_at` None is never."""

    keys: Keys
    expires_at: datetime | None = None


class Renewed:
    """Keys that are fetched once for all who wait, and again before they expire.

    `id` tells logins apart. The last quarter of an hour of old keys is used while new ones are
    fetched; only in their last minute does anybody wait, and only when they are over does a fetch
    that fails hurt.
    """

    def __init__(
        self,
        id: str,
        fetch: Callable[[], Awaitable[Lease]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.id = id
        self._fetch = fetch
        self._clock = clock
        self._lease: Lease | None = None
        self._task: asyncio.Task[Lease] | None = None
        self._tried_at: datetime | None = None

    async def keys(self) -> Keys:
        """Return keys that are good for a call. Raises what fetching them raises."""
        lease = self._lease
        now = self._clock()
        if lease is not None:
            left = None if lease.expires_at is None else lease.expires_at - now
            if left is None or left > SOON:
                return lease.keys
            if left > LAST:
                if self._tried_at is None or now - self._tried_at > BETWEEN:
                    self._task = self._begin()
                return lease.keys
            if left > timedelta():
                return await self._renewed_or(lease)
        return (await asyncio.shield(self._begin())).keys

    def refuse(self, keys: Keys) -> bool:
        """Take note that the cloud does not accept keys; return whether others may be had."""
        if self._lease is not None and self._lease.keys == keys:
            self._lease = None
        return True

    async def aclose(self) -> None:
        """Stop what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _renewed_or(self, old: Lease) -> Keys:
        try:
            return (await asyncio.shield(self._begin())).keys
        except CloudError:
            return old.keys

    def _begin(self) -> asyncio.Task[Lease]:
        if self._task is None or self._task.done():
            self._tried_at = self._clock()
            loop = asyncio.get_running_loop()
            # The request that happened to come first may be cancelled, and is none of the others'.
            self._task = loop.create_task(self._renew(), context=contextvars.Context())
            self._task.add_done_callback(_noted)
        return self._task

    async def _renew(self) -> Lease:
        self._lease = lease = await self._fetch()
        return lease


def _noted(task: asyncio.Task[Lease]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("AWS keys could not be renewed: %s", error)
