"""The guests' directories: made as one step, changed under a lock, removed whole."""

import os
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from nimbi.qemu.errors import NotFound
from nimbi.qemu.guests import firmware
from nimbi.qemu.guests.record import DISK, GIVEN, SEED, Record, Wanted, condemn, load, save
from nimbi.qemu.guests.seed import Seed, given, iso
from nimbi.qemu.host import capacity
from nimbi.qemu.host.files import (
    locked,
    private_directory,
    put_away,
    sweep,
    sync_directory,
    try_lock,
    workspace,
    write_atomically,
    write_json,
)
from nimbi.qemu.host.programs import run
from nimbi.qemu.host.threads import in_thread
from nimbi.qemu.images.store import DISK as IMAGE_DISK
from nimbi.qemu.network import ports

ID = re.compile(r"i-[0-9a-f]{16}")


class GuestStore:
    """Guests below one root, safe for several processes at once.

    Two locks a guest: a short one to read and change its record, and a long one for whoever is at
    work on its QEMU.
    """

    def __init__(self, root: Path) -> None:
        """Keep guests below `root`, made when it does not exist."""
        self.root = private_directory(root / "guests")
        self._locks = private_directory(root / "locks")

    def directory(self, id: str) -> Path:
        """Return where a guest lives. Raises NotFound for what cannot be an id."""
        if not ID.fullmatch(id):
            raise NotFound(f"there is no guest {id!r}")
        return self.root / id

    def all(self) -> list[Record]:
        """Return the records of all guests, the oldest first."""
        found = [load(path) for path in self.root.glob("i-*")]
        return sorted((r for r in found if r), key=lambda record: (record.created_at, record.id))

    def find(self, id: str) -> Record | None:
        """Return one record, or None."""
        return load(self.directory(id))

    @asynccontextmanager
    async def creating(self, id: str) -> AsyncGenerator[None]:
        """Hold back everybody else who wants to create the same guest."""
        lock = self._locks / f"{self.directory(id).name}.create"
        async with locked(lock):
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)

    def being_created(self, id: str) -> bool:
        """Say whether somebody is about to create this guest."""
        lock = self._locks / f"{self.directory(id).name}.create"
        if not lock.exists():
            return False
        held = try_lock(lock)
        if held is None:
            return True
        lock.unlink(missing_ok=True)
        os.close(held)
        return False

    async def add(self, record: Record, held: Seed) -> Record:
        """Make disk and seed of a guest, give it its ports and its place, and return its record.

        It is there whole or not at all. Raises Capacity when it does not fit beside all others.
        """
        async with workspace(self.root) as work:
            made = await in_thread(iso, held)
            await in_thread(write_atomically, work / SEED, made)
            await in_thread(write_json, work / GIVEN, given(held))
            # A relative name, so that the whole state directory can be moved.
            base = f"../../images/{record.image_id}/{IMAGE_DISK}"
            overlay = ("create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base)
            await run("qemu-img", *overlay, work / DISK, f"{record.disk_gib}G")
            (work / DISK).chmod(0o600)
            if record.boot == "uefi":
                await in_thread(firmware.lay_down, work)
            async with self.admission():
                return await in_thread(self._admit, record, work)

    def _admit(self, record: Record, work: Path) -> Record:
        others = self.all()
        capacity.check_memory(record, others)
        self._check_disk(record)
        if not (self.root.parent / "images" / record.image_id / IMAGE_DISK).exists():
            raise NotFound(f"there is no image {record.image_id!r}")
        admitted = replace(record, ports=ports.choose(list(record.ports), _ports_of(others)))
        save(work, admitted)
        work.rename(self.root / record.id)
        sync_directory(self.root)
        return admitted

    async def check_room(self, record: Record) -> None:
        """Raise Capacity for a disk that does not fit, before anything is written for its guest.

        On a full disk nothing can be written to find that out.
        """
        await in_thread(self._check_disk, record)

    def _check_disk(self, record: Record) -> None:
        capacity.check_disk(record.disk_gib * 1024, self.root.parent)

    @asynccontextmanager
    async def admission(self) -> AsyncGenerator[None]:
        """Hold back everybody else who wants room here, or to remove what guests need."""
        async with locked(self._locks / "admission.lock"):
            yield

    async def change(self, id: str, step: Callable[[Record], Record]) -> Record:
        """Replace the record of a guest by `step` of it, and return the new one.

        `step` may raise to leave all as it is. Raises NotFound, also for a guest on its way out.
        """
        async with locked(self._locks / f"{self.directory(id).name}.lock"):
            return await in_thread(self._change, id, step)

    async def condemn(self, id: str) -> Record:
        """Note that a guest is wanted gone, and return its record. Raises as `change` does."""
        async with locked(self._locks / f"{self.directory(id).name}.lock"):
            return await in_thread(self._condemn, id)

    def _condemn(self, id: str) -> Record:
        return condemn(self.directory(id), self._wanted(id))

    def _wanted(self, id: str) -> Record:
        record = self.find(id)
        if record is None:
            (self._locks / f"{id}.lock").unlink(missing_ok=True)
        if record is None or record.wanted is Wanted.GONE:
            raise NotFound(f"there is no guest {id!r}")
        return record

    def _change(self, id: str, step: Callable[[Record], Record]) -> Record:
        record = self._wanted(id)
        changed = step(record)
        if changed != record:
            save(self.directory(id), changed)
        return changed

    async def admit_again(self, id: str, step: Callable[[Record], Record]) -> Record:
        """Do the same as `change`, when the changed guest fits beside all others. Or Capacity."""

        def fitting(record: Record) -> Record:
            changed = step(record)
            if changed != record:
                capacity.check_memory(changed, self.all())
            return changed

        async with self.admission():
            return await self.change(id, fitting)

    async def renew_ports(self, id: str) -> Record:
        """Replace those ports of a guest that others use now."""

        def renew(record: Record) -> Record:
            others = [other for other in self.all() if other.id != id]
            return replace(record, ports=ports.renewed(record.ports, _ports_of(others)))

        async with self.admission():
            return await self.change(id, renew)

    @contextmanager
    def work(self, id: str) -> Iterator[bool]:
        """Become the one who works on this guest's QEMU, or learn by False that somebody is."""
        file = self._locks / f"{self.directory(id).name}.work"
        lock = try_lock(file)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                if self.find(id) is None:
                    file.unlink(missing_ok=True)
                os.close(lock)

    async def remove(self, id: str) -> None:
        """Remove all files of a guest whose QEMU has ended. The caller must be at work on it."""
        lock = self._locks / f"{self.directory(id).name}.lock"
        async with locked(lock):
            await in_thread(put_away, self.directory(id))
            lock.unlink(missing_ok=True)

    async def clean(self) -> None:
        """Remove what creations and removals that were killed have left behind."""
        await in_thread(sweep, self.root)


def _ports_of(records: list[Record]) -> set[int]:
    return {host for record in records for host in record.ports.values()}
