"""Making images of guests' disks: noted first, then copied, and gone on with after a crash."""

import asyncio
import hashlib
import logging
import os
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from nimbi.qemu.disks import agent
from nimbi.qemu.disks.copying import Copy, clear_orphans, copy_stopped, end_copying, settle_file
from nimbi.qemu.errors import Conflict, Failed, Invalid, NotFound, QemuError
from nimbi.qemu.guests.record import DISK as GUEST_DISK
from nimbi.qemu.guests.record import QMP, Record, State, lives, view
from nimbi.qemu.guests.spec import MAX_NAME, MAX_TOKEN, printable
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host import room
from nimbi.qemu.host.files import locked, private_directory, try_lock
from nimbi.qemu.host.programs import require
from nimbi.qemu.host.threads import in_thread
from nimbi.qemu.images.store import DISK, Facts, Image, ImageState, ImageStore, link_parts

IMAGED = frozenset({State.RUNNING, State.PAUSED, State.STOPPED})
"""States of guests whose disk is whole, or in use by a QEMU that can be asked for a copy."""

NEEDED = ("qemu-img",)
ROOT_NODE = "root"
"""The block node of a guest's root disk."""

SPARE_BYTES = 64 * 2**20
TRIES = 3
"""A guest may stop or start while its disk is copied; the copy is then begun anew."""

COPY_S = 24 * 3600.0
LOOK_EVERY_S = 0.05
KEEP_EVERY_S = 5.0

log = logging.getLogger("nimbi.qemu")


class Imaging:
    """Makes images of guests. Of all processes on the same root only one works on an image."""

    def __init__(self, root: Path, guests: GuestStore, images: ImageStore) -> None:
        """Make images of these guests for this catalogue."""
        self._root = root
        self._guests = guests
        self._images = images
        self._locks = private_directory(root / "locks")
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Go on with what killed processes have left half done, now and from time to time."""
        self._spawn("", self._keep())

    async def close(self) -> None:
        """Let go of all work: the next one to open the same root takes it up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def create(
        self, guest_id: str, *, name: str | None, description: str | None, token: str | None
    ) -> Image:
        """Return a new image of a guest's root disk, PENDING while that is copied.

        A running guest runs on; its file systems are frozen for a moment where its agent answers.
        With a token the call may be repeated: the image of that token is returned, and one that
        had failed is tried again. Raises NotFound, Invalid, Conflict for a guest that boots or
        stops and for a token that was used for another image.
        """
        require(NEEDED)
        for what, text in (("name", name), ("description", description)):
            if text is not None and not (len(text) <= MAX_NAME and printable(text)):
                raise Invalid(f"{what} has more than {MAX_NAME} or has unprintable characters")
        id = image_id(token)
        turn = self._locks / f"{id}.create"
        async with locked(turn):
            found = await in_thread(self._images.find, id)
            if found is None:
                found = await self._promise(guest_id, id, name or id, description or "")
            elif _wish(found) != (guest_id, name or id, description or ""):
                raise Conflict("the token was used before, for another image")
            elif found.state is ImageState.ERROR:
                found = await in_thread(self._images.note, id, ImageState.PENDING)
            turn.unlink(missing_ok=True)
        if found.state is ImageState.PENDING:
            self._spawn(id, self._settle(id))
        return found

    async def _promise(self, guest_id: str, id: str, name: str, description: str) -> Image:
        record = self._guests.find(guest_id)
        if record is None:
            raise NotFound(f"there is no guest {guest_id!r}")
        state = view(self._guests.directory(guest_id), record).state
        if state not in IMAGED:
            raise Conflict(f"no image can be made of guest {guest_id}, which is {state}")
        source = await in_thread(self._images.usable, record.image_id)
        told = {each.name: getattr(source, each.name) for each in fields(Facts)}
        told |= {"name": name, "description": description, "recipe": f"guest {guest_id} {id}"}
        told |= {"disk_bytes": record.disk_gib * 2**30, "origin": "guest"}
        async with self._images.building() as work:
            parts = private_directory(work / "image")
            await in_thread(link_parts, source, parts)
            return await in_thread(self._images.promise, parts, Facts(**told), id, guest_id)

    async def _keep(self) -> None:
        while True:
            try:
                await self._take_up()
            except Exception:
                log.exception("looking after images failed")
            await asyncio.sleep(KEEP_EVERY_S)

    async def _take_up(self) -> None:
        for image in await in_thread(self._images.all):
            if image.state is ImageState.PENDING and image.id not in self._tasks:
                self._spawn(image.id, self._settle(image.id))

    def _spawn(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        if id in self._tasks:
            work.close()
            return
        self._tasks[id] = asyncio.create_task(work)
        self._tasks[id].add_done_callback(lambda _: self._tasks.pop(id, None))

    async def _settle(self, id: str) -> None:
        """Copy the disk of a PENDING image, unless another process is at it."""
        file = self._locks / f"{id}.work"
        lock = try_lock(file)
        if lock is None:
            return
        try:
            image = await in_thread(self._images.find, id)
            if image is not None and image.state is ImageState.PENDING:
                await self._finish(image)
        except Exception:
            log.exception("work on image %s failed", id)
        finally:
            file.unlink(missing_ok=True)
            os.close(lock)

    async def _finish(self, image: Image) -> None:
        try:
            # Torn copies of killed processes go first: QEMU still writes to theirs, and is told.
            await in_thread(self._images.clean)
            async with self._images.building() as work:
                await self._copy(image, work)
                done = await in_thread(self._images.keep_promise, image.id, work / "image")
            log.info("image %s of guest %s is made", done.id, done.guest_id)
        except NotFound:
            # It was removed meanwhile.
            return
        except (QemuError, OSError) as error:
            with suppress(NotFound):
                await in_thread(self._images.note, image.id, ImageState.ERROR, str(error))

    async def _copy(self, image: Image, work: Path) -> None:
        guest_id = image.guest_id or ""
        turn = self._locks / f"{guest_id}.copy"
        async with (
            room.promised(self._root, work, await in_thread(self._most, guest_id)),
            # QEMU makes one copy of a disk at a time.
            locked(turn, COPY_S),
        ):
            for left in reversed(range(TRIES)):
                try:
                    await self._copied(guest_id, work)
                    break
                except Failed:
                    if not left:
                        raise
            turn.unlink(missing_ok=True)

    async def _copied(self, guest_id: str, work: Path) -> None:
        """Copy the guest's disk as it is at one moment, whether the guest runs or not."""
        place = self._guests.directory(guest_id)
        parts = work / "image"
        if parts.exists():
            (parts / DISK).unlink(missing_ok=True)
        target = private_directory(parts) / DISK
        while True:
            record = self._record(guest_id)
            if lives(record):
                await _copy_running(place, target)
                return
            # A guest that is at rest is not started while this is held: a start waits.
            with self._guests.work(guest_id) as mine:
                if mine and not _busy(self._record(guest_id)):
                    await _copy_at_rest(place / GUEST_DISK, target)
                    return
            await asyncio.sleep(LOOK_EVERY_S)

    def _record(self, guest_id: str) -> Record:
        record = self._guests.find(guest_id)
        if record is None:
            raise Conflict(f"the guest {guest_id} has gone before its disk was copied")
        return record

    def _most(self, guest_id: str) -> int:
        """Return the bytes that the copy may take: what the guest wrote, and what it began with."""
        record = self._record(guest_id)
        disk = self._guests.directory(guest_id) / GUEST_DISK
        base = self._images.get(record.image_id)
        return disk.stat().st_blocks * 512 + base.size_bytes + SPARE_BYTES


async def _copy_running(place: Path, target: Path) -> None:
    await clear_orphans(place / QMP)
    copy = Copy(place / QMP, f"copy-{secrets.token_hex(8)}")
    try:
        await copy.prepare(ROOT_NODE, target)
        async with agent.frozen(place):
            await copy.begin(ROOT_NODE)
        await copy.wait()
    finally:
        await asyncio.shield(copy.clear())
    await in_thread(settle_file, target)


async def _copy_at_rest(disk: Path, target: Path) -> None:
    try:
        await copy_stopped(disk, target)
    finally:
        await asyncio.shield(end_copying(target))


def _busy(record: Record) -> bool:
    return lives(record) or record.launching


def _wish(image: Image) -> tuple[str | None, str, str]:
    return image.guest_id, image.name, image.description


def image_id(token: str | None) -> str:
    """Return the id of the image that belongs to a token, or a new one. Raises Invalid."""
    if token is None:
        return f"img-{secrets.token_hex(8)}"
    if not 0 < len(token) <= MAX_TOKEN:
        raise Invalid(f"token has {len(token)} characters, not 1 to {MAX_TOKEN}")
    digest = hashlib.sha256(b"image\0" + token.encode("utf-8", "surrogatepass")).hexdigest()
    return f"img-{digest[:16]}"
