"""Who goes first at a cloud: those for whom somebody waits, then the background."""

import asyncio
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

# People and programs call in bursts; a poll between two of their calls would delay the second.
QUIET_S = 0.1
# A poll that always stood back would never come.
PATIENCE_S = 30.0


@dataclass(slots=True)
class _Door:
    """Stands open for callers, all at once: a context for each call."""

    calling: int = 0
    left_at: float = float("-inf")
    # Set while nobody is calling.
    free: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> None:
        self.calling += 1
        self.free.clear()

    def __exit__(self, *_error: object) -> None:
        self.calling -= 1
        if not self.calling:
            self.left_at = asyncio.get_running_loop().time()
            self.free.set()


class Gates:
    """One door for each account."""

    def __init__(self) -> None:
        self._doors: dict[str, _Door] = {}

    def calling(self, account: str) -> AbstractContextManager[None]:
        """Mark that somebody waits for an account's cloud."""
        # Each request passes here: a generator would cost more than all the rest of it.
        door = self._doors.get(account)
        if door is None:
            door = self._doors[account] = _Door()
        return door

    async def background(self, account: str) -> None:
        """Return when nobody has called for a moment, or after half a minute at the latest."""
        door = self._doors.get(account)
        if door is None:
            return
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE_S
        while (left_s := until - clock()) > 0:
            if door.calling:
                try:
                    await asyncio.wait_for(door.free.wait(), left_s)
                except TimeoutError:
                    return
            quiet_s = clock() - door.left_at
            if not door.calling:
                if quiet_s >= QUIET_S:
                    return
                await asyncio.sleep(QUIET_S - quiet_s)

    def forget(self, account: str) -> None:
        """Drop the door of an account that is no more."""
        self._doors.pop(account, None)
