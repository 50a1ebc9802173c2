"""Sitting before a guest: its serial line and its screen, as streams of bytes."""

import asyncio
import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from nimbi.qemu.errors import Conflict
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP, SERIAL, VNC
from nimbi.qemu.guests.sockets import dial
from nimbi.qemu.host.files import try_lock

CHUNK_BYTES = 64 * 2**10

BEHIND_BYTES = 2**20
"""How far the reader of a serial line may stay behind: the guest waits for nobody."""

TAKEN = "somebody is at the guest's serial console already"

LOCK = "serial.lock"
CHARDEV = "serial"
FREE = "disconnected:"

FREED_S = 2.0
LOOK_EVERY_S = 0.02


class Kind(StrEnum):
    """What to sit before: a line of text, or a screen that speaks RFB (RFC 6143)."""

    SERIAL = "serial"
    VNC = "vnc"


class Console:
    """An open console; one reader and one writer at a time. Close it with `aclose`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closed = False

    async def read(self) -> bytes:
        """Return the next bytes, waiting for them; empty once the console is closed or over."""
        if self._closed:
            return b""
        try:
            return await self._reader.read(CHUNK_BYTES)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send bytes; return when there is room for more. Raises Conflict when it is over."""
        if self._closed or self._writer.is_closing():
            raise Conflict("the console is closed")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Conflict("the guest has ended this console") from error

    async def aclose(self) -> None:
        """Let go of it; may be called again."""
        self._closed = True
        # What the guest has not taken yet would keep the socket open.
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


class SerialConsole(Console):
    """The serial line, of which QEMU has one.

    What the guest prints is taken off at once, since the guest stands still when its line is
    full. A reader who stays too far behind loses the console; the log has it all.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lock: int
    ) -> None:
        super().__init__(reader, writer)
        self._lock: int | None = lock
        self._said = bytearray()
        self._is_over = False
        self._news = asyncio.Event()
        self._taking = asyncio.create_task(self._take())

    async def read(self) -> bytes:
        while not self._said and not self._is_over and not self._closed:
            self._news.clear()
            await self._news.wait()
        if self._closed:
            return b""
        said = bytes(self._said[:CHUNK_BYTES])
        del self._said[:CHUNK_BYTES]
        return said

    async def aclose(self) -> None:
        self._taking.cancel()
        await asyncio.gather(self._taking, return_exceptions=True)
        await super().aclose()
        self._news.set()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _take(self) -> None:
        try:
            while data := await super().read():
                self._said += data
                self._news.set()
                if len(self._said) > BEHIND_BYTES:
                    break
        finally:
            self._is_over = True
            self._writer.transport.abort()
            self._news.set()


async def open_screen(directory: Path) -> Console:
    """Connect to the screen of the guest that lives in `directory`. Raises Conflict."""
    try:
        return Console(*await dial(directory / VNC))
    except OSError as error:
        raise Conflict("the guest has no screen") from error


async def open_serial(directory: Path) -> SerialConsole:
    """Connect to the serial line of the guest that lives in `directory`.

    Raises Conflict when somebody is at it already, in whatever process.
    """
    lock = try_lock(directory / LOCK)
    if lock is None:
        raise Conflict(TAKEN)
    try:
        await _until_free(directory)
        return SerialConsole(*await dial(directory / SERIAL), lock)
    except OSError as error:
        os.close(lock)
        raise Conflict("the guest has no serial console") from error
    except BaseException:
        os.close(lock)
        raise


async def _until_free(directory: Path) -> None:
    """Wait until QEMU has nobody at the line: it learns late that somebody has left.

    A second one would be let in, and neither be heard nor told anything. Raises Conflict.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + FREED_S
    async with conversation(directory / QMP) as talk:
        while loop.time() < until:
            lines = await talk.ask("query-chardev")
            if any(x["label"] == CHARDEV and x["filename"].startswith(FREE) for x in lines):
                return
            await asyncio.sleep(LOOK_EVERY_S)
    raise Conflict(TAKEN)
