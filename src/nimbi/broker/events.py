"""Changes as they happen, for those who listen."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from nimbi.model.errors import CloudUnavailable, Conflict
from nimbi.model.inventory import Event
from nimbi.store.events import EventStore

BATCH = 500
# Other processes' changes are seen as soon as this; this one's own at once.
LOOK_S = 1.0


class Events:
    """What changed in all accounts, in the order in which it was seen, the same for all readers."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._news = asyncio.Condition()
        self._newest = 0
        self._followers = 0
        self._watch: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    async def after(
        self,
        id: int,
        limit: int = 100,
        *,
        accounts: tuple[str, ...] | None = None,
        collections: tuple[str, ...] | None = None,
    ) -> tuple[Event, ...]:
        """Return up to `limit` events after one; empty when there are none yet.

        Raises Conflict when events after that one are forgotten already: list anew.
        """
        found = await self._store.after(id, limit, accounts=accounts, collections=collections)
        # Asked afterwards: what was forgotten meanwhile is missing too.
        if id and id < await self._store.oldest() - 1:
            raise Conflict("events after that one are forgotten: list anew, then go on from there")
        return found

    async def newest(self) -> int:
        """Return the id of the last event; 0 when there was none."""
        return await self._store.newest()

    def look(self) -> None:
        """Look for news now: something was changed by this very process."""
        self._hurry.set()

    async def follow(
        self,
        after: int | None = None,
        *,
        accounts: tuple[str, ...] | None = None,
        collections: tuple[str, ...] | None = None,
        heartbeat_s: float = 15.0,
    ) -> AsyncGenerator[Event | None]:
        """Yield events as they happen, for ever; None after each `heartbeat_s` without one.

        `after` is the last one that was seen, None begins with the next to come. Raises Conflict as
        `after` does. Whoever reads slowly is behind, and misses nothing.
        """
        clock = asyncio.get_running_loop().time
        seen = await self.newest() if after is None else after
        self._joined()
        try:
            beat_at = clock() + heartbeat_s
            while True:
                newest = await self.newest()
                found = await self.after(seen, BATCH, accounts=accounts, collections=collections)
                for event in found:
                    yield event
                    seen, beat_at = event.id, clock() + heartbeat_s
                if len(found) == BATCH:
                    continue
                # What does not fit the filters is seen too.
                seen = max(seen, newest)
                while clock() >= beat_at or not await self._moved(seen, beat_at - clock()):
                    yield None
                    beat_at = clock() + heartbeat_s
        finally:
            self._left()

    async def _moved(self, seen: int, within_s: float) -> bool:
        """Return whether there are events after `seen`: as soon as there are, or in the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, within_s)), self._news:
                await self._news.wait_for(lambda: self._newest > seen)
                return True
        return False

    def _joined(self) -> None:
        self._followers += 1
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._watching())

    def _left(self) -> None:
        self._followers -= 1
        if not self._followers and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _watching(self) -> None:
        """One looks for all who follow."""
        while True:
            with suppress(CloudUnavailable):
                newest = await self._store.newest()
                if newest != self._newest:
                    self._newest = newest
                    async with self._news:
                        self._news.notify_all()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), LOOK_S)
            self._hurry.clear()
