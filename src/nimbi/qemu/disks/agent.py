"""A client of the QEMU guest agent, and freezing a guest's file systems with it for a moment."""

import asyncio
import json
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Failed, QemuError, TimedOut
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import AGENT, QMP
from nimbi.qemu.host.files import try_lock

SYNC_S = 3.0
FREEZE_S = 10.0
"""File systems are written out first; a guest that needs longer is not frozen."""

THAW_S = 15.0
THAW_TRIES = 3
FROZEN = "frozen.lock"
"""There while the guest's file systems are frozen, or may be; locked by whoever froze them."""

DELIMITER = b"\xff"
LINE_BYTES = 2**20


class Agent:
    """An open connection. The guest's side is not trusted: it may say anything, or nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, command: str, within_s: float) -> Any:
        """Run a command and return its answer. Raises Failed when it is refused, TimedOut."""
        self._send({"execute": command})
        async with _deadline(within_s):
            answer = await self._message()
        if "error" in answer:
            raise Failed(f"the guest agent refused {command}")
        return answer.get("return")

    async def synchronise(self, within_s: float) -> None:
        """Throw away what an earlier client has not read. Raises TimedOut without an agent."""
        # A delimiter makes the agent's parser drop half a request of an earlier client.
        id = secrets.randbits(31)
        self._writer.write(DELIMITER)
        self._send({"execute": "guest-sync-delimited", "arguments": {"id": id}})
        async with _deadline(within_s):
            while True:
                await self._reader.readuntil(DELIMITER)
                with suppress(Failed):
                    if (await self._message()).get("return") == id:
                        return

    def _send(self, request: dict[str, Any]) -> None:
        self._writer.write(json.dumps(request).encode() + b"\n")

    async def _message(self) -> dict[str, Any]:
        line = (await self._reader.readline()).rpartition(DELIMITER)[2]
        if not line:
            raise EOFError
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise Failed("the guest agent does not speak its protocol")
        return message


@asynccontextmanager
async def _deadline(within_s: float) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise TimedOut(f"the guest agent did not answer within {within_s:g} s") from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise Failed("the guest agent closed the connection") from error


@asynccontextmanager
async def agent(socket: Path, within_s: float = SYNC_S) -> AsyncGenerator[Agent]:
    """Talk to the agent behind `socket`. Raises Failed when nobody listens, TimedOut."""
    # A unix socket's path holds 107 bytes at most; through the directory's descriptor any fits.
    directory = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        reader, writer = await asyncio.open_unix_connection(
            f"/proc/self/fd/{directory}/{socket.name}", limit=LINE_BYTES
        )
    except OSError as error:
        raise Failed("there is no line to the guest agent") from error
    finally:
        os.close(directory)
    try:
        talk = Agent(reader, writer)
        await talk.synchronise(within_s)
        yield talk
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def is_there(directory: Path) -> bool:
    """Say whether an agent has opened its line in the guest of this directory."""
    try:
        async with conversation(directory / QMP) as talk:
            lines = await talk.ask("query-chardev")
    except QemuError:
        return False
    return any(line["label"] == "agent" and line["frontend-open"] for line in lines)


@asynccontextmanager
async def frozen(directory: Path) -> AsyncGenerator[bool]:
    """Keep the file systems of a running guest frozen while this is entered: be quick.

    Gives False when they could not be frozen, for lack of an agent or because it failed. They are
    thawed again in any case; if that fails or we are killed, `mend` does it.
    """
    lock = try_lock(directory / FROZEN) if await is_there(directory) else None
    if lock is None:
        yield False
        return
    try:
        yield await _freeze(directory / AGENT)
    finally:
        try:
            await asyncio.shield(_thaw(directory))
        finally:
            os.close(lock)


async def mend(directory: Path, *, lives: bool) -> None:
    """Thaw a guest that a killed process has left frozen. One that has ended is not frozen."""
    if not (directory / FROZEN).exists():
        return
    lock = try_lock(directory / FROZEN)
    if lock is None:
        return
    try:
        if lives:
            await _thaw(directory)
        else:
            (directory / FROZEN).unlink(missing_ok=True)
    finally:
        os.close(lock)


async def _freeze(socket: Path) -> bool:
    try:
        async with agent(socket) as talk:
            return bool(await talk.ask("guest-fsfreeze-freeze", FREEZE_S))
    except QemuError:
        return False


async def _thaw(directory: Path) -> None:
    """Thaw, also what a freeze that came too late may freeze yet: the agent keeps the order."""
    for _ in range(THAW_TRIES):
        with suppress(QemuError):
            async with agent(directory / AGENT, THAW_S) as talk:
                await talk.ask("guest-fsfreeze-thaw", THAW_S)
                (directory / FROZEN).unlink(missing_ok=True)
                return
