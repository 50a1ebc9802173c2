"""A client of the QEMU Machine Protocol: one short conversation over a unix socket."""

import asyncio
import json
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Failed, TimedOut
from nimbi.qemu.guests.sockets import dial

REPLY_S = 10.0
LINE_BYTES = 4 * 2**20
"""Longest reply: lists of machines or devices are one line of some 100 KiB."""


class Conversation:
    """An open connection. QEMU serves one at a time, so it must be short."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run a command and return its answer; events that come meanwhile are left out.

        Raises Failed when QEMU refuses or ends, TimedOut when it does not answer.
        """
        request = {"execute": command, "arguments": dict(arguments or {})}
        self._writer.write(json.dumps(request).encode() + b"\n")
        while True:
            message = await self._message()
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise Failed(f"QEMU refused {command}: {message['error'].get('desc')}")

    async def event(self, names: Collection[str]) -> tuple[str, dict[str, Any]]:
        """Wait for one of these events, return its name and data. Raises Failed when QEMU ends."""
        while True:
            message = await self._message(within_s=None)
            if message.get("event") in names:
                return str(message["event"]), dict(message.get("data", {}))

    async def _message(self, within_s: float | None = REPLY_S) -> dict[str, Any]:
        try:
            async with asyncio.timeout(within_s):
                line = await self._reader.readline()
            message = json.loads(line)
        except TimeoutError:
            raise TimedOut(f"QEMU did not answer within {within_s:g} s") from None
        except (OSError, ValueError) as error:
            raise Failed("QEMU closed the conversation") from error
        if not isinstance(message, dict):
            raise Failed("QEMU does not speak its protocol")
        return message

    async def start(self) -> None:
        """Take the greeting and ask for nothing special."""
        await self._message()
        await self.ask("qmp_capabilities")


@asynccontextmanager
async def conversation(socket: Path) -> AsyncGenerator[Conversation]:
    """Talk to the QEMU that listens on `socket`.

    Raises Failed when nobody listens, TimedOut when QEMU is busy with another client.
    """
    try:
        reader, writer = await dial(socket, LINE_BYTES)
    except OSError as error:
        raise Failed("QEMU does not listen") from error
    try:
        talk = Conversation(reader, writer)
        await talk.start()
        yield talk
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
