"""Watching the QEMU of each guest: what it tells of itself, and its end, at once."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from nimbi.qemu.errors import NotFound, QemuError
from nimbi.qemu.guests.qmp import Conversation, conversation
from nimbi.qemu.guests.record import EVENTS, QMP, Record, lives
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host.process import Process, alive

log = logging.getLogger("nimbi.qemu")

FULL = "a disk of the guest cannot grow: the host's disk is full; it goes on once there is room"
PAUSED = frozenset({"paused", "io-error", "internal-error"})
"""States of QEMU in which the guest's processors stand. Source: QMP reference, RunState."""

AGAIN_S = 5.0
"""Another server may watch this guest: QEMU tells its events to one."""


class Supervisor:
    """Keeps the records of guests true to what their QEMUs say, each watched once."""

    def __init__(self, guests: GuestStore, ended: Callable[[str], Awaitable[None]]) -> None:
        """Watch guests of this store; `ended` is told when a QEMU has ended."""
        self._guests = guests
        self._ended = ended
        self._watched: dict[str, tuple[Process, asyncio.Task[None]]] = {}
        self.news = asyncio.Event()
        """Set, and replaced, whenever something has been heard of any guest."""

    def watch(self, record: Record) -> None:
        """Watch the guest's QEMU until it ends. One that is watched already goes on so."""
        process = record.process
        if process is None or not lives(record):
            return
        known = self._watched.get(record.id)
        if known is None or known[0] != process:
            task = asyncio.create_task(self._watch(record.id, process))
            self._watched[record.id] = (process, task)
            task.add_done_callback(lambda _: self._drop(record.id, process))

    async def close(self) -> None:
        """Watch no more."""
        tasks = [task for _, task in self._watched.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self) -> None:
        """Wake whoever waits for something to happen to any guest."""
        self.news.set()
        self.news = asyncio.Event()

    async def follow(self, id: str) -> Record:
        """Return the guest's record once it says what its QEMU says of itself.

        Raises NotFound, Failed when QEMU has ended, TimedOut.
        """
        async with conversation(self._guests.directory(id) / QMP) as talk:
            while True:
                facts = await _facts(talk)
                record = await self._note(id, **facts)
                # What QEMU told in between may have been written over.
                if await _facts(talk) == facts:
                    return record

    def _drop(self, id: str, process: Process) -> None:
        if id in self._watched and self._watched[id][0] == process:
            del self._watched[id]

    async def _watch(self, id: str, process: Process) -> None:
        async with _end_of(process) as over:
            listening = asyncio.create_task(self._listen(id))
            try:
                await over.wait()
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
        self.tell()
        try:
            await self._ended(id)
        except Exception:
            log.exception("clearing up after guest %s failed", id)

    async def _listen(self, id: str) -> None:
        socket = self._guests.directory(id) / EVENTS
        while True:
            with contextlib.suppress(QemuError):
                async with conversation(socket) as talk:
                    await self._hear(id, talk)
            await asyncio.sleep(AGAIN_S)

    async def _hear(self, id: str, talk: Conversation) -> None:
        # What was said while nobody listened is asked for first.
        with contextlib.suppress(NotFound):
            await self._note(id, **await _facts(talk))
            while True:
                event, data = await talk.event(EVENTS_HEARD)
                await self._note(id, **EVENTS_HEARD[event](data))
                self.tell()

    async def _note(self, id: str, **facts: Any) -> Record:
        def step(record: Record) -> Record:
            return replace(record, **facts) if lives(record) else record

        return await self._guests.change(id, step)


async def _facts(talk: Conversation) -> dict[str, Any]:
    """Return what of the record follows from what QEMU says it is doing."""
    status = (await talk.ask("query-status"))["status"]
    # Only a full disk halts a guest so: see `werror` on its command line.
    full = {"trouble": FULL} if status == "io-error" else {}
    return {"paused": status in PAUSED, **full}


def _failed_write(data: dict[str, Any]) -> dict[str, Any]:
    if data.get("nospace"):
        return {"trouble": FULL}
    return {"trouble": f"a disk of the guest fails: {data.get('reason', 'unknown')}"}


EVENTS_HEARD: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "STOP": lambda _: {"paused": True},
    "RESUME": lambda _: {"paused": False, "trouble": None},
    "BLOCK_IO_ERROR": _failed_write,
}
"""Event of QEMU: what of the record it changes. Source: QEMU's QMP reference, "Run state"."""


@asynccontextmanager
async def _end_of(process: Process) -> AsyncGenerator[asyncio.Event]:
    """Give an event that is set when the process has ended; no polling."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        over.set()
        yield over
        return
    if not alive(process):
        over.set()
    loop.add_reader(descriptor, over.set)
    try:
        yield over
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
