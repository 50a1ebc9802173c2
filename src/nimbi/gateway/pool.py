"""Sessions that are kept open between calls, bounded in number, idle time and age."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType

from nimbi.gateway.cloud import Cloud
from nimbi.gateway.held import Held, closed
from nimbi.gateway.limits import PoolLimits
from nimbi.model.errors import CloudUnavailable, Throttled

# When all places of the pool are in use: calls are short, so one is free again soon.
FULL_RETRY_S = 1.0


class Entry:
    """One session in the pool. `cloud` is None until it is open."""

    __slots__ = ("cloud", "dies_at", "held", "key", "used_at", "users")

    def __init__(self, key: bytes, held: Held[Cloud], now: float, dies_at: float) -> None:
        self.key = key
        self.held = held
        self.cloud: Cloud | None = None
        self.users = 0
        self.used_at = now
        self.dies_at = dies_at


class Pool:
    """Sessions by key. One in use is never closed, save by `aclose`."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._leaving: set[Held[Cloud]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: bytes, open: Callable[[], Held[Cloud]]) -> Entry:
        """Return the session of a key, opening it when there is none. `give_back` it after use.

        Raises Throttled when the pool is full of sessions in use.
        """
        now = asyncio.get_running_loop().time()
        entry = self._entries.get(key)
        if entry is None or entry.dies_at <= now or entry.held.is_over():
            entry = self._add(key, open, now, entry)
        else:
            self._entries.move_to_end(key)
        entry.users += 1
        return entry

    def give_back(self, entry: Entry) -> None:
        """End one use of a session."""
        entry.users -= 1
        entry.used_at = asyncio.get_running_loop().time()
        if self._entries.get(entry.key) is not entry:
            self._close_unused(entry)
        elif self._sweep is None:
            self._arm(self._limits.idle_s)

    def drop(self, key: bytes, cloud: Cloud) -> None:
        """Hand a session to nobody any more; close it after its last use."""
        entry = self._entries.get(key)
        if entry is not None and entry.cloud is cloud:
            self.discard(entry)

    def discard(self, entry: Entry) -> None:
        """Do as `drop` does with this entry, if it is still in the pool."""
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
            self._close_unused(entry)

    async def aclose(self) -> None:
        """Close all sessions, also those in use, and open none any more."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        self._leaving.update(entry.held for entry in self._entries.values())
        self._entries.clear()
        await closed(list(self._leaving), self._limits.leave_s)

    def _add(
        self, key: bytes, open: Callable[[], Held[Cloud]], now: float, stale: Entry | None
    ) -> Entry:
        if self._is_closed:
            raise CloudUnavailable("the sessions are closed: the program is about to end")
        if stale is not None:
            self.discard(stale)
        if len(self._entries) >= self._limits.sessions:
            self._make_room()
        entry = Entry(key, open(), now, now + self._limits.age_s)
        self._entries[key] = entry
        return entry

    def _make_room(self) -> None:
        unused = next((entry for entry in self._entries.values() if not entry.users), None)
        if unused is None:
            raise Throttled("all sessions are in use", FULL_RETRY_S)
        self.discard(unused)

    def _close_unused(self, entry: Entry) -> None:
        if not entry.users:
            held = entry.held
            self._leaving.add(held)
            held.task.add_done_callback(lambda _: self._leaving.discard(held))
            held.close()

    def _arm(self, seconds: float) -> None:
        self._sweep = asyncio.get_running_loop().call_later(seconds, self._close_idle)

    def _close_idle(self) -> None:
        self._sweep = None
        now = asyncio.get_running_loop().time()
        unused = [entry for entry in self._entries.values() if not entry.users]
        ends = [min(entry.used_at + self._limits.idle_s, entry.dies_at) for entry in unused]
        for entry, end in zip(unused, ends, strict=True):
            if end <= now:
                self.discard(entry)
        later = [end for end in ends if end > now]
        if later:
            self._arm(min(later) - now)


class Lease:
    """A use of a pooled session, for `async with`."""

    __slots__ = ("_entry", "_key", "_open", "_pool")

    def __init__(self, pool: Pool, key: bytes, open: Callable[[], Held[Cloud]]) -> None:
        self._pool = pool
        self._key = key
        self._open = open
        self._entry: Entry | None = None

    async def __aenter__(self) -> Cloud:
        entry = self._pool.take(self._key, self._open)
        cloud = entry.cloud
        if cloud is None:
            try:
                cloud = entry.cloud = await entry.held.value()
            except BaseException:
                # An opening that failed is not kept; one that only this waiter gave up goes on.
                if entry.held.is_over():
                    self._pool.discard(entry)
                self._pool.give_back(entry)
                raise
        self._entry = entry
        return cloud

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            self._pool.give_back(entry)
