"""The store of volumes: disks that live apart from guests, and outlive them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from nimbi.qemu.disks import plugging, shelf
from nimbi.qemu.disks.attachments import DETACH_S, PATIENCE_S, Attachments
from nimbi.qemu.disks.copying import FORMAT, sorted_out
from nimbi.qemu.disks.records import (
    DISK,
    MAX_GIB,
    Hold,
    Snapshot,
    SnapshotState,
    Volume,
    check_text,
    digest,
    made_id,
)
from nimbi.qemu.errors import Conflict, Failed, Invalid, QemuError, TimedOut
from nimbi.qemu.guests.parts import Gear
from nimbi.qemu.guests.record import Record, Wanted, lives, now
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host import capacity
from nimbi.qemu.host.files import locked
from nimbi.qemu.host.programs import run
from nimbi.qemu.host.threads import in_thread

DEFAULT_GIB = 1
GIB = 2**30
RESIZE_TRIES = 20
LOOK_EVERY_S = 0.1


class VolumeStore:
    """Volumes below one root, safe for several processes at once. It is a Part of each guest."""

    def __init__(self, root: Path, guests: GuestStore) -> None:
        """Keep volumes below `root`, for guests of that store."""
        self._root = root
        self._guests = guests
        self._shelf = shelf.volumes(root)
        self._snapshots = shelf.snapshots(root)
        self._attachments = Attachments(self._shelf, guests)

    async def open(self) -> None:
        """Clean up after killed processes, and make records and running guests agree."""
        await in_thread(self._shelf.clean)
        for volume in await self.all():
            if volume.growing:
                await self._settle_size(volume.id)
            if volume.guest_id is not None:
                await self._attachments.settle(volume.id, within_s=0)

    async def keep_house(self) -> None:
        """Go on with what is under way: a guest may have let go, a disk may have room again."""
        for volume in await self.all():
            if volume.growing:
                await self._settle_size(volume.id)
            if volume.hold in {Hold.ATTACHING, Hold.DETACHING}:
                await self._attachments.settle(volume.id, within_s=0)

    async def all(self) -> list[Volume]:
        """Return all volumes, the oldest first."""
        return await in_thread(self._shelf.all)

    async def get(self, id: str) -> Volume:
        """Return one volume. Raises NotFound."""
        return await in_thread(self._shelf.get, id)

    async def create(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        size_gib: int | None = None,
        snapshot_id: str | None = None,
        token: str | None = None,
    ) -> Volume:
        """Return a new volume, empty or with what a snapshot holds.

        Without a size it has the snapshot's, or 1 GiB. With a token the call may be repeated: the
        volume of that token is returned. Raises Invalid, also for a size below the snapshot's,
        NotFound for the snapshot, Conflict when it is not completed or the token was used for
        another volume, Capacity.
        """
        check_text("name", name)
        check_text("description", description)
        wish = digest(name, description, size_gib, snapshot_id)
        id = made_id("vol", token)
        async with self._shelf.creating(id):
            found = self._shelf.find(id)
            if found is not None:
                if found.wish != wish:
                    raise Conflict("the token was used before, for another volume")
                return found
            async with self._source(snapshot_id) as snapshot:
                least = snapshot.size_gib if snapshot else 1
                asked = size_gib if size_gib is not None else least if snapshot else DEFAULT_GIB
                _check_size(asked, least)
                return await self._create(
                    Volume(
                        id=id,
                        name=name,
                        description=description,
                        size_gib=asked,
                        snapshot_id=snapshot_id,
                        created_at=now(),
                        wish=wish,
                    )
                )

    @contextlib.asynccontextmanager
    async def _source(self, snapshot_id: str | None) -> AsyncGenerator[Snapshot | None]:
        """Hold the snapshot, so that it cannot go before the volume that needs it is there."""
        if snapshot_id is None:
            yield None
            return
        async with self._snapshots.holding(snapshot_id) as snapshot:
            if snapshot.state is not SnapshotState.COMPLETED:
                raise Conflict(f"snapshot {snapshot_id} is {snapshot.state}: it has no data")
            yield snapshot

    async def _create(self, volume: Volume) -> Volume:
        async with self._shelf.workspace() as work:
            disk = work / DISK
            await in_thread(disk.touch, mode=0o600)
            size = f"{volume.size_gib}G"
            if volume.snapshot_id is None:
                await run("qemu-img", "create", "-q", *FORMAT, disk, size)
            else:
                # A relative name, so that the whole state directory can be moved.
                base = f"../../snapshots/{volume.snapshot_id}/{DISK}"
                backing = ("-u", "-F", "qcow2", "-b", base)
                await run("qemu-img", "create", "-q", *FORMAT, *backing, disk, size)
            async with locked(self._shelf.locks / "admission.lock"):
                return await in_thread(self._admit, volume, work)

    def _admit(self, volume: Volume, work: Path) -> Volume:
        capacity.check_disk(volume.size_gib * 1024, self._root)
        return self._shelf.put(work, volume)

    async def destroy(self, id: str) -> None:
        """Remove a volume with its data.

        Raises NotFound, and Conflict while it is attached or copied for a snapshot.
        """
        async with self._shelf.holding(id) as found:
            volume = await self._freed_if_orphan(found)
            if volume.guest_id is not None:
                raise Conflict(f"volume {id} is attached to guest {volume.guest_id}")
            await self._check_not_copied(id)
            await in_thread(self._shelf.remove, id)
            (self._shelf.locks / f"{id}.copy").unlink(missing_ok=True)

    async def attach(self, id: str, guest_id: str, device: str | None = None) -> Volume:
        """Give a volume to a guest, at once when it runs, and at each of its starts.

        `device` is kept and told, no more. Raises NotFound for both, Invalid for the device,
        Conflict when the volume is attached already, also to this guest, or is being copied for a
        snapshot, or another volume of the guest has that device, Capacity when the guest has no
        place left. After an error the volume is free again, unless QEMU does not answer.
        """
        async with self._shelf.holding(id) as found:
            volume = await self._freed_if_orphan(found)
            if volume.guest_id is not None:
                raise Conflict(f"volume {id} is attached to guest {volume.guest_id} already")
            await self._check_not_copied(id)
            return await self._attachments.attach(volume, guest_id, device)

    async def detach(self, id: str, within_s: float = DETACH_S) -> Volume:
        """Take a volume from its guest, with all that the guest has written to it.

        The system of a running guest has to let go. When it does not within `within_s`, Conflict
        is raised: the volume stays attached until the guest lets go after all, or stops; the call
        may be repeated. Raises NotFound, and Conflict when it is attached nowhere, or while it is
        copied for a snapshot.
        """
        async with self._shelf.holding(id) as found:
            volume = await self._freed_if_orphan(found)
            if volume.guest_id is None:
                raise Conflict(f"volume {id} is not attached")
            await self._check_not_copied(id)
            return await self._attachments.detach(volume, within_s)

    async def resize(self, id: str, size_gib: int) -> Volume:
        """Make a volume larger, also while a guest has it, which sees it at once.

        What lies on it stays as it is; its file systems have to be grown by the guest. Raises
        NotFound, Invalid for less than there is, Conflict while it is copied, Capacity.
        """
        async with self._shelf.holding(id) as volume:
            _check_size(size_gib, volume.size_gib)
            await self._check_not_copied(id)
            if size_gib == volume.size_gib:
                return await self._grown(volume)
            async with locked(self._shelf.locks / "admission.lock"):
                more = (size_gib - volume.size_gib) * 1024
                await in_thread(capacity.check_disk, more, self._root)
                wish = self._shelf.save(replace(volume, size_gib=size_gib, growing=True))
            return await self._grown(wish)

    async def _settle_size(self, id: str) -> None:
        with contextlib.suppress(QemuError):
            async with self._shelf.holding(id, within_s=0) as volume:
                await self._grown(volume)

    async def _grown(self, volume: Volume) -> Volume:
        """Return the volume once its disk has the size of the record."""
        tries = iter(range(RESIZE_TRIES))
        while volume.growing:
            try:
                await self._grow(await self._attachments.settled(volume))
                volume = self._shelf.save(replace(volume, growing=False))
            except Failed as error:
                # Its guest was just being started, or just ended: then it goes the other way.
                if next(tries, None) is None:
                    raise sorted_out(f"volume {volume.id} can't grow: {error}") from None
                await asyncio.sleep(LOOK_EVERY_S)
        return volume

    async def _grow(self, volume: Volume) -> None:
        guest = self._attachments.guest(volume)
        if guest is not None and lives(guest):
            size_bytes = volume.size_gib * GIB
            await plugging.grow(self._attachments.socket(guest.id), volume.id, size_bytes)
            return
        if guest is None:
            await self._grow_file(volume)
            return
        with self._guests.work(guest.id) as nobody_starts_it:
            if not nobody_starts_it:
                raise Failed(f"guest {guest.id} is about to start")
            await self._grow_file(volume)

    async def _grow_file(self, volume: Volume) -> None:
        disk = self._shelf.directory(volume.id) / DISK
        told = json.loads(await run("qemu-img", "info", "--output=json", disk))
        if told["virtual-size"] < volume.size_gib * GIB:
            await run("qemu-img", "resize", "-q", "-f", "qcow2", disk, f"{volume.size_gib}G")

    async def _freed_if_orphan(self, volume: Volume) -> Volume:
        """Let go of a guest that is not there any more, as after a crash while it went."""
        if volume.guest_id is not None and self._attachments.guest(volume) is None:
            return await self._attachments.settled(volume)
        return volume

    async def _check_not_copied(self, id: str) -> None:
        for snapshot in await in_thread(self._copies_of, frozenset({id})):
            raise Conflict(f"volume {id} is being copied for snapshot {snapshot.id}")

    def _copies_of(self, ids: frozenset[str]) -> list[Snapshot]:
        pending = SnapshotState.PENDING
        return [s for s in self._snapshots.all() if s.state is pending and s.volume_id in ids]

    async def gear(self, record: Record) -> Gear:
        """Return what gives a guest its volumes; wait until none of them is being copied."""
        await self.ended(record.id)
        while True:
            volumes = await in_thread(self._attachments.of, record.id)
            volumes = [volume for volume in volumes if volume.hold is not Hold.DETACHING]
            ids = frozenset(volume.id for volume in volumes)
            copies = await in_thread(self._copies_of, ids)
            # A copy that has not begun sees that the guest runs, and leaves it to QEMU.
            if not any(copy.began and copy.guest_id is None for copy in copies):
                return Gear(arguments=plugging.arguments(volumes))
            guest = self._guests.find(record.id)
            if guest is None or guest.wanted is not Wanted.RUNNING:
                raise Conflict(f"guest {record.id} shall not start any more")
            await asyncio.sleep(LOOK_EVERY_S)

    async def started(self, record: Record) -> None:
        """Give the guest what was attached to it while it was being started."""
        for volume in self._attachments.of(record.id):
            if volume.hold is not Hold.DETACHING:
                await self._attachments.settle(volume.id)

    async def ended(self, id: str) -> None:
        """Free what the guest should have let go of."""
        # Whoever waits with a volume for the guest to let go of it sees that it has ended.
        with contextlib.suppress(TimedOut):
            await self._attachments.release(id, frozenset({Hold.DETACHING}), within_s=0)

    async def forget(self, id: str) -> None:
        """Free all volumes of the guest."""
        await self._attachments.release(id, frozenset(Hold) - {Hold.FREE}, within_s=PATIENCE_S)


def _check_size(size_gib: int, least: int) -> None:
    if not least <= size_gib <= MAX_GIB:
        raise Invalid(f"size_gib is {size_gib}, not {least} to {MAX_GIB}")
