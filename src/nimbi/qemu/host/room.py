"""Room on the host's disk for an image in the making: promised before the first byte is written."""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic, sleep

from nimbi.qemu.errors import Capacity, TimedOut
from nimbi.qemu.host.capacity import PROMISED, check_disk, left_mib
from nimbi.qemu.host.files import private_directory, try_lock, write_atomically

MIB = 2**20
LOCK_S = 60.0
LOOK_EVERY_S = 0.02


class Promise:
    """Room that a workspace may fill. It may grow; it ends with the workspace."""

    def __init__(self, root: Path, work: Path) -> None:
        """Promise nothing yet."""
        self._root = root
        self._file = work.parent / PROMISED
        self._lock = private_directory(root / "locks") / "admission.lock"
        self._mib = 0

    def grow(self, size_bytes: int) -> None:
        """Promise so many bytes more, to be called in a thread. Raises Capacity."""
        mib = -(-size_bytes // MIB)
        with self._admission():
            check_disk(mib, self._root)
            self._set(self._mib + mib)

    def grow_to_fit(self, most_bytes: int) -> int:
        """Promise as much of `most_bytes` as is left, and return it. Raises Capacity for none."""
        with self._admission():
            given = min(-(-most_bytes // MIB), left_mib(self._root))
            if given <= 0:
                raise Capacity("no room is left on the disk")
            self._set(self._mib + given)
            return given * MIB

    def check(self) -> None:
        """Raise Capacity when more was written than there is room for."""
        if left_mib(self._root) < 0:
            raise Capacity("no room is left on the disk")

    def end(self) -> None:
        """Give back what was promised."""
        self._file.unlink(missing_ok=True)

    def _set(self, mib: int) -> None:
        write_atomically(self._file, str(mib).encode())
        self._mib = mib

    @contextmanager
    def _admission(self) -> Generator[None]:
        end = monotonic() + LOCK_S
        while (lock := try_lock(self._lock)) is None:
            if monotonic() >= end:
                raise TimedOut(f"the disk's room was not to be had within {LOCK_S:g} s")
            sleep(LOOK_EVERY_S)
        try:
            yield
        finally:
            os.close(lock)


@asynccontextmanager
async def promised(root: Path, work: Path, size_bytes: int) -> AsyncGenerator[Promise]:
    """Reserve room below `root` for a workspace, as long as this is entered.

    What guests' disks may still grow by, and what is promised to others, is not given away.
    Raises Capacity.
    """
    promise = Promise(root, work)
    await asyncio.to_thread(promise.grow, size_bytes)
    try:
        yield promise
    finally:
        promise.end()
