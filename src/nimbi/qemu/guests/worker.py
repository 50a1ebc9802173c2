"""Brings guests to what is wanted of them: so it also mends what a killed server left half done."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path

from nimbi.qemu.errors import Failed, NotFound, QemuError
from nimbi.qemu.guests import command, power
from nimbi.qemu.guests.launch import launch
from nimbi.qemu.guests.parts import Part
from nimbi.qemu.guests.record import (
    CONSOLE,
    QMP,
    Record,
    Wanted,
    is_ready,
    lives,
    lost_with_host,
    now,
    took_too_long,
)
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.guests.supervision import Supervisor
from nimbi.qemu.host import engine
from nimbi.qemu.host.engine import InstalledEngine
from nimbi.qemu.host.files import private_directory, try_lock
from nimbi.qemu.host.process import Process, ended, kill, with_argument, works_in
from nimbi.qemu.images.store import Image, ImageStore
from nimbi.qemu.network.ports import free

BOOTS_AT_ONCE = 2
LOOK_EVERY_S = 0.05
LAUNCH_TRIES = 3
REBOOT_S = 20.0
"""A guest that has not halted by then is reset."""

KILL_S = 10.0
PORTS_S = 3.0
"""A guest whose ports others still have by then gets new ones."""


class Duty(Enum):
    """What has to be done for a guest."""

    BOOT = auto()
    REBOOT = auto()
    STOP = auto()
    RECOVER = auto()
    REMOVE = auto()


def duty(record: Record) -> Duty | None:
    """Return what has to be done for the guest, if nobody is at it."""
    if record.wanted is Wanted.GONE:
        return Duty.REMOVE
    if record.launching:
        return Duty.RECOVER
    if record.wanted is Wanted.STOPPED:
        return Duty.STOP if lives(record) else None
    if record.error is not None:
        return None
    if record.process is None or lost_with_host(record):
        return Duty.BOOT
    return Duty.REBOOT if record.rebooting else None


class Worker:
    """Works on guests, one duty after the other, until nothing is left to do.

    Of all processes on the same root only one works on a guest at a time; the others wait.
    """

    def __init__(
        self,
        root: Path,
        installed: InstalledEngine,
        guests: GuestStore,
        images: ImageStore,
        parts: Sequence[Part],
        supervisor: Supervisor,
    ) -> None:
        self._root = root
        self._engine = installed
        self._guests = guests
        self._images = images
        self._parts = parts
        self._supervisor = supervisor
        self._slots = private_directory(root / "locks")

    async def settle(self, id: str) -> None:
        """Return once the guest is what is wanted, or gone, or in error; do or await the work."""
        while (record := self._guests.find(id)) and duty(record):
            with self._guests.work(id) as mine:
                if mine:
                    await self._work(id)
                    continue
            await asyncio.sleep(LOOK_EVERY_S)

    async def settle_gone(self, id: str) -> None:
        """Return once nothing is left of a guest that was wanted gone; do or await the work."""
        await self.settle(id)
        while True:
            # The record goes first: whoever removes the rest is at work until that is done.
            with self._guests.work(id) as mine:
                if mine:
                    return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _work(self, id: str) -> None:
        doers = {
            Duty.BOOT: self._boot,
            Duty.REBOOT: self._reboot,
            Duty.STOP: self._stop,
            Duty.RECOVER: self._recover,
            Duty.REMOVE: self._remove,
        }
        while (record := self._guests.find(id)) and (due := duty(record)):
            try:
                await doers[due](record)
            except NotFound:
                # Somebody wants it gone meanwhile: the next round does that.
                continue

    async def _remove(self, record: Record) -> None:
        await self._end_all(record)
        for part in self._parts:
            await part.forget(record.id)
        await self._guests.remove(record.id)

    async def _recover(self, record: Record) -> None:
        """End a QEMU that was started and never written down; the guest is then booted anew."""
        await self._end_all(record)
        await self._guests.change(record.id, lambda r: replace(r, launching=False, process=None))

    async def _end_all(self, record: Record) -> None:
        found = await asyncio.to_thread(self._qemus, record.id)
        for process in found:
            kill(process)
        for process in found:
            await ended(process, KILL_S)

    def _qemus(self, id: str) -> list[Process]:
        # The same token gives the same id below another root: where it works tells which it is.
        directory = self._guests.directory(id)
        return [p for p in with_argument(command.uuid(id)) if works_in(p, directory)]

    async def _stop(self, record: Record) -> None:
        if record.process:
            socket = self._guests.directory(record.id) / QMP
            await power.shut_down(record.process, socket, record.stop_by or now())
        await self._guests.change(record.id, _off)
        await self.ended(record.id)

    async def ended(self, id: str) -> None:
        """Tell all parts that the guest's QEMU has ended."""
        for part in self._parts:
            await part.ended(id)

    async def _boot(self, record: Record) -> None:
        async with self._slot(record.id, Duty.BOOT) as mine:
            if mine:
                await self._launch(record.id)
                await self._until_ready(record.id)

    async def _reboot(self, record: Record) -> None:
        if not lives(record):
            await self._guests.change(record.id, _off)
            return
        socket = self._guests.directory(record.id) / QMP
        async with self._slot(record.id, Duty.REBOOT) as mine:
            if not mine:
                return
            try:
                if is_ready(socket.parent, record):
                    await power.halt(socket, REBOOT_S)
                await self._guests.change(record.id, self._booting)
                await power.reset(socket)
            except QemuError as error:
                await self._fail(record, error)
                return
            await self._guests.change(
                record.id, lambda r: replace(r, rebooting=False, paused=False)
            )
            await self._until_ready(record.id)

    @asynccontextmanager
    async def _slot(self, id: str, due: Duty) -> AsyncGenerator[bool]:
        """Wait to be one of the few who boot; give False when that is no longer wanted."""
        while (record := self._guests.find(id)) and duty(record) is due:
            for number in range(BOOTS_AT_ONCE):
                lock = try_lock(self._slots / f"boot-{number}.slot")
                if lock is not None:
                    try:
                        yield True
                    finally:
                        os.close(lock)
                    return
            await asyncio.sleep(LOOK_EVERY_S)
        yield False

    async def _launch(self, id: str) -> None:
        await self._until_free(id)
        for tries_left in reversed(range(LAUNCH_TRIES)):
            record = await self._guests.renew_ports(id)
            try:
                await self._start_qemu(record)
            except NotFound:
                raise
            except QemuError as error:
                taken = not all(free(port) for port in record.ports.values())
                if taken and tries_left:
                    continue
                await self._fail(record, error)
            return

    async def _until_free(self, id: str) -> None:
        # Whatever published the ports in the guest's last life ends a moment after its QEMU.
        end = asyncio.get_running_loop().time() + PORTS_S
        while record := self._guests.find(id):
            over = asyncio.get_running_loop().time() >= end
            if over or all(free(port) for port in record.ports.values()):
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _start_qemu(self, record: Record) -> None:
        id, directory = record.id, self._guests.directory(record.id)
        found = await self._engine.get()
        image = self._image(record.image_id)
        chosen = await engine.accelerator(self._root, found, image)
        gears = [await part.gear(record) for part in self._parts]
        more = [argument for gear in gears for argument in gear.arguments]
        prefix = [word for gear in gears for word in gear.prefix]
        record = await self._guests.change(
            id, lambda r: replace(self._booting(r), accelerator=chosen, launching=_boots_next(r))
        )
        if not record.launching:
            await self.ended(id)
            return
        arguments = command.arguments(record, image, more, sandbox=found.sandbox)
        process = await launch([*prefix, *arguments], directory)
        record = await self._guests.change(
            id, lambda r: replace(r, process=process, launching=False, started_at=now())
        )
        self._supervisor.watch(record)
        for part in self._parts:
            await part.started(record)

    def _image(self, id: str) -> Image:
        try:
            return self._images.get(id)
        except NotFound as error:
            raise Failed(f"the guest's image {id} is gone") from error

    async def _fail(self, record: Record, error: QemuError) -> None:
        await self._end_all(record)
        await self._guests.change(record.id, lambda r: replace(_off(r), error=str(error)))
        await self.ended(record.id)

    def _booting(self, record: Record) -> Record:
        console = self._guests.directory(record.id) / CONSOLE
        offset = console.stat().st_size if console.exists() else 0
        return replace(
            record,
            ready=False,
            paused=False,
            trouble=None,
            console_offset=offset,
            started_at=now(),
        )

    async def _until_ready(self, id: str) -> None:
        directory = self._guests.directory(id)
        while (record := self._guests.find(id)) and _boots(record):
            if is_ready(directory, record):
                await self._guests.change(id, lambda r: replace(r, ready=True))
                self._supervisor.tell()
                return
            await asyncio.sleep(LOOK_EVERY_S)


def _boots_next(record: Record) -> bool:
    # Somebody may have stopped it while its parts were made ready.
    return duty(record) is Duty.BOOT


def _off(record: Record) -> Record:
    return replace(
        record, process=None, launching=False, rebooting=False, ready=False, paused=False
    )


def _boots(record: Record) -> bool:
    """Say whether the guest is on its way to readiness, still within the time for that."""
    if duty(record) or not lives(record) or record.started_at is None:
        return False
    return not took_too_long(record)
