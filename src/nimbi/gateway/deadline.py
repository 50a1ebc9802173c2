"""Deadlines that cost nothing when a call never has to wait."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from nimbi.model.errors import Timeout

T = TypeVar("T")


async def finish(coroutine: Coroutine[Any, Any, T], until: float, late: str) -> T:
    """Return what the coroutine returns. Raises Timeout(late) when it is not done by then.

    `until` is a time of the running loop. A timer costs more than an answer from memory or cache,
    so one is set only once the coroutine waits for something.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    limit = asyncio.timeout_at(until)
    try:
        async with limit:
            return await _Begun(coroutine, waits_for)
    except TimeoutError as error:
        if limit.expired():
            raise Timeout(late) from error
        raise


class _Begun(Generic[T]):
    """A coroutine that ran up to its first wait: awaiting it takes up that wait and goes on."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as thrown:  # noqa: BLE001  a cancellation is the coroutine's
                    waits_for = self._coroutine.throw(thrown)
                else:
                    waits_for = self._coroutine.send(sent)
        except StopIteration as done:
            answer: T = done.value
            return answer
