"""Bytes between a WebSocket and a console, until one side ends or nothing moves."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import Receive, Send

from nimbi.driver.consoles import ConsoleStream
from nimbi.model.errors import CloudError

# RFC 6455, 7.4.1.
NORMAL, GOING_AWAY, FAILED = 1000, 1001, 1011

CHECKS = 4
"""How often within the idle time it is looked whether anything moved."""


@dataclass
class Relay:
    """One open console. Neither side is read faster than the other one takes what was read."""

    console: ConsoleStream
    receive: Receive
    send: Send
    idle_s: float
    _moved: bool = False

    async def run(self) -> int | None:
        """Carry bytes both ways. Return the code to close with; None when the client has left."""
        ways = {
            asyncio.create_task(self._up()),
            asyncio.create_task(self._down()),
            asyncio.create_task(self._watch()),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            codes = [_code(task) for task in done]
            return None if None in codes else max(code for code in codes if code is not None)
        finally:
            for task in ways:
                task.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _up(self) -> int | None:
        while True:
            message = await self.receive()
            if message["type"] == "websocket.disconnect":
                return None
            data = message.get("bytes")
            if data is None:
                # Terminals in browsers send what is typed as text.
                data = (message.get("text") or "").encode()
            self._moved = True
            if data:
                await self.console.write(data)

    async def _down(self) -> int:
        while data := await self.console.read():
            self._moved = True
            await self.send({"type": "websocket.send", "bytes": data})
        return NORMAL

    async def _watch(self) -> int:
        quiet = 0
        while quiet < CHECKS:
            await asyncio.sleep(self.idle_s / CHECKS)
            quiet = 0 if self._moved else quiet + 1
            self._moved = False
        return GOING_AWAY


def _code(task: "asyncio.Task[int | None]") -> int | None:
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, CloudError):
        return FAILED
    # The server under us raises OSError when it is told to send to a client that has left.
    if isinstance(error, OSError):
        return None
    raise error


async def closed(console: ConsoleStream) -> None:
    """Close a console whatever it says to that."""
    with suppress(CloudError):
        await console.aclose()
