"""One answer for many who wait for it: found once, kept for a while."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Kept:
    task: asyncio.Task[Any]
    until: float


class Shared:
    """Answers by key, the least used of more than `most` given up first.

    `clock` counts seconds; the default is the running loop's.
    """

    def __init__(self, most: int = 1024, clock: Callable[[], float] | None = None) -> None:
        self._most = most
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    async def get(self, key: Hashable, age_s: float, make: Callable[[], Awaitable[T]]) -> T:
        """Return an answer at most `age_s` old, made by `make` when there is none.

        Others that ask meanwhile wait for the same one, and each may be cancelled without harm to
        the others. An error goes to all who wait, and is not kept.
        """
        kept = self._kept.get(key)
        if kept is None or self._is_over(kept):
            task = asyncio.get_running_loop().create_task(
                _awaited(make), context=contextvars.Context()
            )
            kept = self._kept[key] = _Kept(task, self._clock() + age_s)
            task.add_done_callback(_seen)
            self._shrink()
        self._kept.move_to_end(key)
        answer: T = await asyncio.shield(kept.task)
        return answer

    def forget(self, key: Hashable) -> None:
        """Have the next one who asks get a new answer."""
        self._kept.pop(key, None)

    async def aclose(self) -> None:
        """Stop what is under way."""
        tasks = [kept.task for kept in self._kept.values() if not kept.task.done()]
        self._kept.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_over(self, kept: _Kept) -> bool:
        if not kept.task.done():
            return False
        return kept.task.cancelled() or bool(kept.task.exception()) or kept.until <= self._clock()

    def _shrink(self) -> None:
        # What is under way has somebody who waits.
        for key in [key for key, kept in self._kept.items() if kept.task.done()]:
            if len(self._kept) <= self._most:
                return
            del self._kept[key]


async def _awaited(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of an error that nobody may wait for any more: it is none of the program."""
    if not task.cancelled():
        task.exception()
