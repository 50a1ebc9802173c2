"""The store of snapshots: full copies of what volumes held at one moment."""

import asyncio
import logging
import os
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nimbi.qemu.disks import agent, shelf
from nimbi.qemu.disks.attachments import Attachments
from nimbi.qemu.disks.copying import Copy, copy_stopped, end_copying, settle_file
from nimbi.qemu.disks.records import (
    DISK,
    Snapshot,
    SnapshotState,
    Volume,
    check_text,
    digest,
    made_id,
)
from nimbi.qemu.errors import Conflict, Failed, NotFound, QemuError, TimedOut
from nimbi.qemu.guests.record import QMP, Record, lives, now
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host import capacity
from nimbi.qemu.host.files import locked, try_lock
from nimbi.qemu.host.threads import in_thread

COPY_S = 24 * 3600.0
BEGIN_S = 20.0
"""So long a creation waits for its moment to come, before it tells that it is pending."""

LOOK_EVERY_S = 0.05
BUSY_S = 60.0
INTERRUPTED = "the copy was interrupted: the server or the guest ended meanwhile"

log = logging.getLogger("nimbi.qemu")


class SnapshotStore:
    """Snapshots below one root, safe for several processes at once."""

    def __init__(self, root: Path, guests: GuestStore) -> None:
        """Keep snapshots below `root`, of volumes there."""
        self._root = root
        self._guests = guests
        self._shelf = shelf.snapshots(root)
        self._volumes = shelf.volumes(root)
        self._attachments = Attachments(self._volumes, guests)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Clean up after killed processes, and go on with copies that QEMU still makes."""
        await in_thread(self._shelf.clean)
        await self.keep_house()

    async def keep_house(self) -> None:
        """Take up what nobody works on any more, and thaw guests that were left frozen."""
        for guest in await in_thread(self._guests.all):
            await agent.mend(self._guests.directory(guest.id), lives=lives(guest))
        for snapshot in await self.all():
            if snapshot.state is SnapshotState.PENDING and self._is_idle(snapshot.id):
                self._spawn(snapshot.id, self._take_up(snapshot.id))

    async def close(self) -> None:
        """Let go of all copies: those that a QEMU makes go on, and are taken up again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def all(self) -> list[Snapshot]:
        """Return all snapshots, the oldest first."""
        return await in_thread(self._shelf.all)

    async def get(self, id: str) -> Snapshot:
        """Return one snapshot. Raises NotFound."""
        return await in_thread(self._shelf.get, id)

    async def create(
        self,
        volume_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        token: str | None = None,
    ) -> Snapshot:
        """Return a new snapshot, perhaps still pending; what it holds is settled by then.

        The guest writes on while it is copied. With a token the call may be repeated: the
        snapshot of that token is returned, and made anew if it had failed. Raises NotFound for
        the volume, Invalid, Capacity, Conflict when the token was used for another snapshot.
        """
        check_text("name", name)
        check_text("description", description)
        wish = digest(volume_id, name, description)
        id = made_id("snap", token)
        loop = asyncio.get_running_loop()
        end = loop.time() + BUSY_S
        while (found := self._made(id, wish)) is None:
            # Whoever works on a snapshot has this lock from before it can be seen until its end.
            work = try_lock(self._work(id))
            if work is not None:
                found = await self._reserved(
                    Snapshot(
                        id=id,
                        name=name,
                        description=description,
                        volume_id=volume_id,
                        size_gib=0,
                        created_at=now(),
                        wish=wish,
                    ),
                    work,
                )
                break
            if loop.time() >= end:
                raise TimedOut(f"snapshot {id} was kept busy for {BUSY_S:g} s")
            await asyncio.sleep(LOOK_EVERY_S)
        return await self._begun(found)

    async def _reserved(self, wish: Snapshot, work: int) -> Snapshot:
        """Write the snapshot down and set to work on it; `work` is let go of at the end of that."""
        try:
            found = self._made(wish.id, wish.wish)
            if found is None:
                async with self._volumes.holding(wish.volume_id) as volume:
                    found = await self._reserve(replace(wish, size_gib=volume.size_gib), volume)
                self._spawn(wish.id, self._make(found, work))
                return found
        except BaseException:
            self._leave(wish.id, work)
            raise
        self._leave(wish.id, work)
        return found

    def _made(self, id: str, wish: str) -> Snapshot | None:
        found = self._shelf.find(id)
        if found is not None and found.wish != wish:
            raise Conflict("the token was used before, for another snapshot")
        return None if found and found.state is SnapshotState.ERROR else found

    async def _reserve(self, snapshot: Snapshot, volume: Volume) -> Snapshot:
        """Write down that the snapshot is to be made, with room kept for it."""
        async with self._shelf.creating(snapshot.id):
            await in_thread(self._shelf.remove, snapshot.id)
            async with (
                self._shelf.workspace() as work,
                locked(self._shelf.locks / "admission.lock"),
            ):
                need_mib = await in_thread(self._need_mib, volume)
                await in_thread(capacity.check_disk, need_mib, self._root)
                wish = replace(snapshot, reserved_mib=need_mib, guest_id=volume.guest_id)
                return self._shelf.put(work, wish)

    def _need_mib(self, volume: Volume) -> int:
        """Return what a full copy can take: all that is there, and a little for its tables."""
        size = capacity.allocated_mib(self._volumes.directory(volume.id) / DISK)
        if volume.snapshot_id is not None:
            size += capacity.allocated_mib(self._shelf.directory(volume.snapshot_id) / DISK)
        return size + size // 64 + 8

    async def _begun(self, snapshot: Snapshot) -> Snapshot:
        loop = asyncio.get_running_loop()
        end = loop.time() + BEGIN_S
        while True:
            now_so = await self.get(snapshot.id)
            if now_so.began or _is_over(now_so) or loop.time() >= end:
                return now_so
            await asyncio.sleep(LOOK_EVERY_S)

    async def destroy(self, id: str) -> None:
        """Remove a snapshot; one that is being made is given up.

        Raises NotFound, and Conflict, naming them, while there are volumes made from it: these
        hold only what differs from it.
        """
        async with self._shelf.holding(id) as snapshot:
            volumes = await in_thread(self._volumes.all)
            on_top = [volume.id for volume in volumes if volume.snapshot_id == id]
            if on_top:
                raise Conflict(f"snapshot {id} is needed by: {', '.join(on_top)}")
            if snapshot.state is SnapshotState.PENDING:
                await self._give_up(snapshot)
            await in_thread(self._shelf.remove, id)
            if (work := try_lock(self._work(id))) is not None:
                self._leave(id, work)

    def _is_idle(self, id: str) -> bool:
        return id not in self._tasks

    def _spawn(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._logged(id, work))
        self._tasks[id] = task
        task.add_done_callback(lambda _: self._drop(id, task))

    def _drop(self, id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(id) is task:
            del self._tasks[id]

    async def _logged(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("work on snapshot %s failed", id)

    def _work(self, id: str) -> Path:
        return self._shelf.locks / f"{self._shelf.directory(id).name}.work"

    def _leave(self, id: str, work: int) -> None:
        if self._shelf.find(id) is None:
            self._work(id).unlink(missing_ok=True)
        os.close(work)

    async def _make(self, snapshot: Snapshot, work: int) -> None:
        try:
            # QEMU makes one copy of a disk at a time.
            turn = self._shelf.locks / f"{snapshot.volume_id}.copy"
            async with locked(turn, COPY_S):
                try:
                    await self._copied(snapshot, self._copy(snapshot))
                finally:
                    turn.unlink(missing_ok=True)
        finally:
            self._leave(snapshot.id, work)

    async def _take_up(self, id: str) -> None:
        """Go on with the copy of a process that was killed, if QEMU still makes it."""
        work = try_lock(self._work(id))
        if work is None:
            return
        try:
            snapshot = self._shelf.find(id)
            if snapshot is not None and not _is_over(snapshot):
                await self._copied(snapshot, self._rest(snapshot))
        finally:
            self._leave(id, work)

    async def _copied(self, snapshot: Snapshot, work: Coroutine[Any, Any, None]) -> None:
        """Do the work and write down how it ended. A snapshot that is destroyed is given up."""
        disk = self._disk(snapshot.id)
        try:
            await work
            await in_thread(settle_file, disk)
            disk.chmod(0o400)
            size_bytes = disk.stat().st_blocks * 512
            done = {"state": SnapshotState.COMPLETED, "size_bytes": size_bytes}
            await self._note(snapshot.id, **done, reserved_mib=0)
        except (QemuError, OSError) as error:
            await self._give_up(snapshot)
            disk.unlink(missing_ok=True)
            failed = {"state": SnapshotState.ERROR, "error": str(error)}
            with suppress(NotFound):
                await self._note(snapshot.id, **failed, reserved_mib=0)

    async def _copy(self, snapshot: Snapshot) -> None:
        disk = self._disk(snapshot.id)
        guest = await self._running_guest(snapshot)
        if guest is None:
            await copy_stopped(self._volumes.directory(snapshot.volume_id) / DISK, disk)
            return
        place = self._guests.directory(guest.id)
        async with self._volumes.holding(snapshot.volume_id) as volume:
            await self._attachments.settled(volume)
        copy = Copy(place / QMP, snapshot.id)
        await copy.prepare(snapshot.volume_id, disk)
        async with agent.frozen(place) as whole:
            await copy.begin(snapshot.volume_id)
        kind = "filesystem" if whole else "crash"
        await self._note(snapshot.id, began=True, guest_id=guest.id, consistent=kind)
        await copy.wait()
        await copy.clear()

    async def _running_guest(self, snapshot: Snapshot) -> Record | None:
        """Return the running guest that has the volume; or begin a copy that QEMU has no part in.

        From then on a start of the volume's guest waits until the copy is made.
        """
        at_rest = {"began": True, "guest_id": None, "consistent": "crash"}
        while True:
            guest = self._attachments.guest(self._volumes.get(snapshot.volume_id))
            if guest is None:
                await self._note(snapshot.id, **at_rest)
                return None
            if lives(guest):
                return guest
            with self._guests.work(guest.id) as nobody_starts_it:
                again = self._guests.find(guest.id)
                busy = again is not None and (lives(again) or again.launching)
                if nobody_starts_it and not busy:
                    await self._note(snapshot.id, **at_rest)
                    return None
            await asyncio.sleep(LOOK_EVERY_S)

    async def _rest(self, snapshot: Snapshot) -> None:
        """Wait for the end of a copy that was begun by a process that was killed."""
        await end_copying(self._disk(snapshot.id))
        if snapshot.guest_id is None:
            raise Failed(INTERRUPTED)
        copy = Copy(self._guests.directory(snapshot.guest_id) / QMP, snapshot.id)
        if not snapshot.began or not await copy.is_known():
            raise Failed(INTERRUPTED)
        await copy.wait()
        await copy.clear()

    async def _give_up(self, snapshot: Snapshot) -> None:
        """Leave nothing at work on a snapshot, in QEMU or beside it."""
        await end_copying(self._disk(snapshot.id))
        if snapshot.guest_id is not None:
            socket = self._guests.directory(snapshot.guest_id) / QMP
            if socket.parent.exists():
                await Copy(socket, snapshot.id).clear()

    async def _note(self, id: str, **facts: Any) -> None:
        """Change the record. Raises NotFound when the snapshot was destroyed meanwhile."""
        async with self._shelf.holding(id) as snapshot:
            self._shelf.save(replace(snapshot, **facts))

    def _disk(self, id: str) -> Path:
        return self._shelf.directory(id) / DISK


def _is_over(snapshot: Snapshot) -> bool:
    return snapshot.state is not SnapshotState.PENDING
