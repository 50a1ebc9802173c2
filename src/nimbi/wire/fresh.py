"""Ids of what was made just now, which other parts of a cloud may not know yet."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable

# How long a thing that was just made may be unknown to other parts of the cloud.
FRESH_S = 60.0
MOST_FRESH = 10_000


class Fresh:
    """Ids of what was made less than a minute ago."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._until: OrderedDict[str, float] = OrderedDict()

    def add(self, id: str) -> None:
        """Remember an id for a minute."""
        now = self._clock()
        self._until[id] = now + FRESH_S
        self._until.move_to_end(id)
        # All last equally long, so the first are the oldest.
        while len(self._until) > MOST_FRESH or next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)

    def discard(self, ids: Iterable[str]) -> None:
        """Forget ids of what is gone."""
        for id in ids:
            self._until.pop(id, None)

    def __contains__(self, id: str) -> bool:
        return self._until.get(id, 0.0) > self._clock()

    def any_in(self, words: str) -> bool:
        """Return whether a text, such as an error's, names a fresh id."""
        return any(id in words for id in self._until if id in self)
