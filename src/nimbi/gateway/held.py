"""An async context manager kept open by a task of its own."""

import asyncio
import contextvars
import logging
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from nimbi.model.errors import CloudUnavailable

T = TypeVar("T")

log = logging.getLogger(__name__)


class Held(Generic[T]):
    """Enters a context manager at once, and leaves it at `close`, both in the same task.

    Some libraries insist on that, while many tasks share what was opened. The task sees no context
    variable of the task that made it, whose request may be long gone.
    """

    def __init__(self, context: AbstractAsyncContextManager[T], what: str) -> None:
        loop = asyncio.get_running_loop()
        self._what = what
        self._opened: asyncio.Future[T] = loop.create_future()
        # An error that nobody waits for any more is no error of the program.
        self._opened.add_done_callback(asyncio.Future.exception)
        self._closing = asyncio.Event()
        self.task = loop.create_task(self._hold(context), context=contextvars.Context())

    def is_over(self) -> bool:
        """Return whether it could not be opened, or is closed."""
        return self.task.done()

    async def value(self) -> T:
        """Return what was opened, waiting for it. Raises what opening raised.

        A waiter that is cancelled does not stop the opening.
        """
        return await asyncio.shield(self._opened)

    def close(self) -> None:
        """Begin to close; `task` ends when it is closed. Never raises, may be called again."""
        self._closing.set()
        if not self._opened.done():
            self.task.cancel()

    async def _hold(self, context: AbstractAsyncContextManager[T]) -> None:
        try:
            async with context as value:
                self._opened.set_result(value)
                await self._closing.wait()
        except asyncio.CancelledError:
            if not self._opened.done():
                late = CloudUnavailable(f"{self._what} was closed before it was open")
                self._opened.set_exception(late)
            raise
        except Exception as error:
            if self._opened.done():
                log.warning("%s did not close cleanly", self._what, exc_info=True)
            else:
                self._opened.set_exception(error)


async def closed(held: "list[Held[T]]", leave_s: float) -> None:
    """Close all of these, waiting up to `leave_s`; what takes longer is cancelled."""
    for each in held:
        each.close()
    tasks = {each.task for each in held}
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=leave_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=leave_s)
