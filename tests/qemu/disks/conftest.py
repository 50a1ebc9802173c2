"""What tests of disks share: agreement between records, files and QEMUs, looked at from outside."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nimbi.qemu import Guest, GuestSpec, Hypervisor, State
from nimbi.qemu.disks.records import DISK, Hold, Snapshot, SnapshotState
from nimbi.qemu.errors import QemuError
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP
from nimbi.qemu.host.process import with_argument

PATIENCE_S = 30
DATA_MIB = 96
OURS = ("vol-", "snap-", "copy-")


async def settled(hypervisor: Hypervisor, id: str) -> Snapshot:
    """Return a snapshot that is completed or has failed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await hypervisor.snapshots.get(id)
            if found.state is not SnapshotState.PENDING:
                return found
            await asyncio.sleep(0.05)


def fill(root: Path, volume_id: str, mib: int = DATA_MIB, pattern: int = 0xAA) -> None:
    """Write a pattern to a volume that nobody has open."""
    command = f"write -P {pattern} 0 {mib}M"
    disk = root / "volumes" / volume_id / DISK
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(disk)], check=True)


def holds(disk: Path, mib: int = DATA_MIB, pattern: int = 0xAA) -> bool:
    """Say whether a disk that nobody has open begins with a pattern; qemu-img finds it sound."""
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(disk)], check=True)
    command = f"read -P {pattern} 0 {mib}M"
    return not subprocess.run(["qemu-io", "-r", "-f", "qcow2", "-c", command, str(disk)]).returncode


async def in_qemu(root: Path, guest_id: str) -> tuple[set[str], set[str], set[str]]:
    """Return the devices, block nodes and jobs of ours that a guest's QEMU has."""
    async with conversation(root / "guests" / guest_id / QMP) as talk:
        devices = await talk.ask("qom-list", {"path": "/machine/peripheral"})
        nodes = await talk.ask("query-named-block-nodes", {"flat": True})
        jobs = await talk.ask("query-jobs")
    told = (
        {device["name"] for device in devices},
        {node["node-name"] for node in nodes},
        {job["id"] for job in jobs},
    )
    return tuple({name for name in names if name.startswith(OURS)} for names in told)  # type: ignore[return-value]


def differing_files(root: Path, volumes: set[str], snapshots: dict[str, Snapshot]) -> str:
    for place, known in (("volumes", volumes), ("snapshots", set(snapshots))):
        there = {path.name for path in (root / place).iterdir()}
        if there != known:
            return f"{place}: {there} are there, {known} are known"
    for lock in (root / "locks").iterdir():
        if lock.name.startswith(OURS) and lock.stem not in {*volumes, *snapshots}:
            return f"the lock {lock.name} belongs to nothing"
    for snapshot in snapshots.values():
        disk = root / "snapshots" / snapshot.id / DISK
        if disk.exists() is not snapshot.is_completed or with_argument(str(disk)):
            return f"{snapshot} has a disk or a program that it should not have"
    return ""


async def differing_qemu(root: Path, guest_id: str, mine: set[str]) -> str:
    try:
        devices, nodes, jobs = await in_qemu(root, guest_id)
    except QemuError as error:
        return str(error)
    if devices != mine or nodes != mine or jobs:
        return f"QEMU has {devices}, {nodes}, {jobs} and should have {mine}"
    return ""


async def disagreement(hypervisor: Hypervisor) -> str:
    """Return in what records, files, locks, programs and QEMUs differ; nothing when they agree."""
    volumes = await hypervisor.volumes.all()
    snapshots = {snapshot.id: snapshot for snapshot in await hypervisor.snapshots.all()}
    ids = {volume.id for volume in volumes}
    if found := differing_files(hypervisor.root, ids, snapshots):
        return found
    busy = [v for v in volumes if v.hold not in {Hold.FREE, Hold.ATTACHED} or v.growing]
    if busy:
        return f"unsettled: {busy}"
    for guest in await hypervisor.guests():
        if guest.pid is not None:
            mine = {volume.id for volume in volumes if volume.guest_id == guest.id}
            if found := await differing_qemu(hypervisor.root, guest.id, mine):
                return found
    return ""


async def agrees(hypervisor: Hypervisor) -> None:
    """Wait until all agrees, as it has to some seconds after a crash."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while found := await disagreement(hypervisor):
        assert loop.time() < end, found
        await asyncio.sleep(0.1)


@pytest.fixture
async def guest(hypervisor: Hypervisor, shared) -> Guest:
    """Give the guest that tests share, running."""
    await hypervisor.start(shared.id)
    settled = frozenset({State.RUNNING, State.ERROR})
    found = await hypervisor.wait(shared.id, settled, 120)
    assert found.state is State.RUNNING, found.reason
    return found


@pytest.fixture
async def other(hypervisor: Hypervisor, shared) -> AsyncIterator[str]:
    """Give the id of one more guest, which stops at once and opens to nobody."""
    spec = GuestSpec(name="other", image_id=shared.image_id, memory_mib=96)
    made = await hypervisor.create(spec)
    await hypervisor.wait(made.id, frozenset({State.RUNNING}), 120)
    await hypervisor.stop(made.id)
    await hypervisor.wait(made.id, frozenset({State.STOPPED}), 120)
    yield made.id
    await hypervisor.destroy(made.id)


@pytest.fixture(autouse=True)
async def tidy(hypervisor: Hypervisor) -> AsyncIterator[None]:
    """See that all agrees after each test, and remove what it made."""
    yield
    await agrees(hypervisor)
    for volume in await hypervisor.volumes.all():
        if volume.guest_id is not None:
            await hypervisor.volumes.detach(volume.id)
        await hypervisor.volumes.destroy(volume.id)
    for snapshot in await hypervisor.snapshots.all():
        await hypervisor.snapshots.destroy(snapshot.id)
    await agrees(hypervisor)
