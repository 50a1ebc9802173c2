"""The programs that work on disks are killed: qemu-img, and a guest's QEMU."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.qemu.disks.conftest import agrees, fill, holds, settled
from tests.qemu.disks.test_disk_crash import virtual_bytes

from nimbi.qemu import Guest, Hypervisor, QemuError
from nimbi.qemu.disks.records import DISK, Hold

pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.xdist_group("guest")]

BOOT_S = 120
MOST_STEPS = 7
"""Later ones are the same again: QEMU is asked whether the guest has let go."""

DEATHS = {
    "before": "kill -9 $$",
    "amid": '{real} "$@" & kill -9 $!; kill -9 $$',
    "after": '{real} "$@"; kill -9 $$',
}
"""When qemu-img is killed: before it has begun, at some moment, when all is done."""


@contextmanager
def killed(place: Path, death: str) -> Iterator[None]:
    """Have every qemu-img be killed meanwhile."""
    program = place / "qemu-img"
    program.write_text(f"#!/bin/sh\n{DEATHS[death].format(real=shutil.which('qemu-img'))}\n")
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{place}:{os.environ['PATH']}")
        yield
    program.unlink()


@pytest.mark.parametrize("death", DEATHS)
async def test_a_creation_whose_qemu_img_is_killed_leaves_nothing(
    hypervisor: Hypervisor, tmp_path: Path, death: str
):
    with killed(tmp_path, death), pytest.raises(QemuError):
        await hypervisor.volumes.create(size_gib=1, token=death)
    assert await hypervisor.volumes.all() == []
    await agrees(hypervisor)
    made = await hypervisor.volumes.create(size_gib=1, token=death)
    assert await hypervisor.volumes.all() == [made]


@pytest.mark.parametrize("death", DEATHS)
async def test_a_volume_of_a_snapshot_whose_qemu_img_is_killed_leaves_nothing(
    hypervisor: Hypervisor, tmp_path: Path, death: str
):
    source = await hypervisor.volumes.create(size_gib=1)
    fill(hypervisor.root, source.id)
    snapshot = await settled(hypervisor, (await hypervisor.snapshots.create(source.id)).id)
    with killed(tmp_path, death), pytest.raises(QemuError):
        await hypervisor.volumes.create(snapshot_id=snapshot.id, token=death)
    assert [volume.id for volume in await hypervisor.volumes.all()] == [source.id]
    await agrees(hypervisor)
    made = await hypervisor.volumes.create(snapshot_id=snapshot.id, token=death)
    assert holds(hypervisor.root / "volumes" / made.id / DISK)
    await hypervisor.volumes.destroy(made.id)


@pytest.mark.parametrize("death", DEATHS)
async def test_a_growth_whose_qemu_img_is_killed_is_brought_to_its_end(
    hypervisor: Hypervisor, tmp_path: Path, death: str
):
    volume = await hypervisor.volumes.create(size_gib=1)
    fill(hypervisor.root, volume.id)
    with killed(tmp_path, death), suppress(QemuError):
        await hypervisor.volumes.resize(volume.id, 2)
    # Whoever keeps house goes on with it; asking again does too.
    await agrees(hypervisor)
    grown = await hypervisor.volumes.resize(volume.id, 2)
    disk = hypervisor.root / "volumes" / volume.id / DISK
    assert (grown.size_gib, virtual_bytes(disk)) == (2, 2 * 2**30)
    assert holds(disk)


class Assassin:
    """Kills a guest's QEMU at one step of a server's work with it.

    Steps are what the interpreter tells of: a record is written, or QEMU is talked to. A hook of
    the interpreter can't be removed, so there is one for all tests.
    """

    WATCHED = ("os.rename", "socket.connect")

    def __init__(self) -> None:
        self._pid = self._left = 0
        sys.addaudithook(self._see)

    def arm(self, pid: int, at: int) -> None:
        """Kill a process at the n-th step from now."""
        self._pid, self._left = pid, at

    def disarm(self) -> bool:
        """Kill nobody any more, and say whether nobody was killed."""
        spared, self._left = self._left > 0, 0
        return spared

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._left or event not in self.WATCHED:
            return
        if "vol-" not in str(arguments) and "qmp.sock" not in str(arguments):
            return
        self._left -= 1
        if not self._left:
            os.kill(self._pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def assassin() -> Assassin:
    return Assassin()


async def attach(hypervisor: Hypervisor, id: str, guest: Guest) -> None:
    await hypervisor.volumes.attach(id, guest.id)


async def detach(hypervisor: Hypervisor, id: str, _guest: Guest) -> None:
    await hypervisor.volumes.detach(id)


@pytest.mark.parametrize("act", [attach, detach])
async def test_a_guest_that_dies_amid_a_move_of_a_volume_leaves_it_whole(
    hypervisor: Hypervisor,
    guest: Guest,
    assassin: Assassin,
    act: Callable[[Hypervisor, str, Guest], Awaitable[None]],
):
    """A move in which it does not die tells that all steps were met."""
    for at in range(1, MOST_STEPS):
        guest = await running(hypervisor, guest.id)
        volume = await hypervisor.volumes.create(size_gib=1)
        fill(hypervisor.root, volume.id)
        if act is detach:
            await hypervisor.volumes.attach(volume.id, guest.id)
        assert guest.pid is not None
        assassin.arm(guest.pid, at)
        with suppress(QemuError):
            await act(hypervisor, volume.id, guest)
        spared = assassin.disarm()
        if not spared:
            await ended(hypervisor, guest.id)
        await agrees(hypervisor)
        if (await hypervisor.volumes.get(volume.id)).hold is Hold.ATTACHED:
            await hypervisor.volumes.detach(volume.id)
        assert holds(hypervisor.root / "volumes" / volume.id / DISK)
        await hypervisor.volumes.destroy(volume.id)
        if spared:
            break
    assert at > 3


async def ended(hypervisor: Hypervisor, id: str) -> None:
    """Return once a killed QEMU has let go of its disks."""
    async with asyncio.timeout(BOOT_S):
        while True:
            if (await hypervisor.guest(id)).pid is None:
                return
            await asyncio.sleep(0.05)


async def running(hypervisor: Hypervisor, id: str) -> Guest:
    """Return the guest once it has a QEMU; it need not have booted."""
    await hypervisor.start(id)
    async with asyncio.timeout(BOOT_S):
        while True:
            if (found := await hypervisor.guest(id)).pid is not None:
                return found
            await asyncio.sleep(0.05)
