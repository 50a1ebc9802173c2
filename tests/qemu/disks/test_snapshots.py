"""Snapshots of real volumes: of one moment, while guests write and while things are killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.qemu.disks.conftest import DATA_MIB, agrees, fill, holds, in_qemu, settled
from tests.qemu.disks.test_volumes import device, inside

from nimbi.qemu import Conflict, Hypervisor, Invalid, NotFound, State, open_hypervisor
from nimbi.qemu.disks import agent, copying
from nimbi.qemu.disks.copying import clear_orphans, copy_running
from nimbi.qemu.disks.records import DISK, Hold, SnapshotState
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP
from nimbi.qemu.host.files import workspace
from nimbi.qemu.host.process import with_argument

pytestmark = [pytest.mark.guest, pytest.mark.xdist_group("guest")]

RUNNING = frozenset({State.RUNNING, State.ERROR})
STOPPED = frozenset({State.STOPPED})
SECTORS = 300
WRITER = (
    "i=0; while [ $i -lt {sectors} ]; do printf '%0512d' 1 | "
    "dd of={name} bs=512 seek=$i conv=notrunc,fsync 2>/dev/null; i=$((i+1)); done"
)
"""Fills one sector after the other, each on disk before the next."""


def disk_of(hypervisor: Hypervisor, snapshot_id: str) -> Path:
    return hypervisor.root / "snapshots" / snapshot_id / DISK


async def hurry(hypervisor: Hypervisor, guest_id: str, job: str) -> None:
    """Let a slow copy go on as fast as it can."""
    async with conversation(hypervisor.root / "guests" / guest_id / QMP) as talk:
        await talk.ask("block-job-set-speed", {"device": job, "speed": 0})


async def filled_at(hypervisor: Hypervisor, guest_id: str, mib: int = DATA_MIB) -> str:
    """Return the id of a volume with a pattern, attached to a guest."""
    volume = await hypervisor.volumes.create(size_gib=1)
    fill(hypervisor.root, volume.id, mib)
    await hypervisor.volumes.attach(volume.id, guest_id)
    return volume.id


@pytest.fixture
def slowly(monkeypatch) -> None:
    """Let each QEMU copy so slowly that things can happen meanwhile."""
    monkeypatch.setattr(copying, "BYTES_PER_S", 2**18)


async def snapshot_of(hypervisor: Hypervisor, guest_id: str, token: str | None = None) -> str:
    """Return the id of a snapshot that is not completed, of a volume of a running guest."""
    volume_id = await filled_at(hypervisor, guest_id)
    snapshot = await hypervisor.snapshots.create(volume_id, token=token)
    assert (await hypervisor.snapshots.get(snapshot.id)).state is SnapshotState.PENDING
    return snapshot.id


def written(disk: Path) -> list[bool]:
    source = ("-f", "qcow2", "-O", "raw", f"if={disk}", f"of={disk}.raw")
    subprocess.run(["qemu-img", "dd", *source, "bs=512", f"count={SECTORS}"], check=True)
    with Path(f"{disk}.raw").open("rb") as file:
        return [file.read(512).strip(b"\0") != b"" for _ in range(SECTORS)]


def info(disk: Path) -> bytes:
    return subprocess.run(["qemu-img", "info", disk], check=True, capture_output=True).stdout


async def test_a_snapshot_is_of_one_moment_while_the_guest_writes(
    hypervisor, shared, guest, tmp_path
):
    volume = await hypervisor.volumes.create(size_gib=1)
    await hypervisor.volumes.attach(volume.id, guest.id)
    name = await device(hypervisor, shared, volume.id)
    writing = asyncio.create_task(
        inside(hypervisor, shared, WRITER.format(sectors=SECTORS, name=name))
    )
    disks = []
    for number in range(4):
        snapshot = await hypervisor.snapshots.create(volume.id)
        done = await settled(hypervisor, snapshot.id)
        assert done.state is SnapshotState.COMPLETED
        disks.append(tmp_path / f"{number}")
        disks[-1].write_bytes(disk_of(hypervisor, done.id).read_bytes())
    await writing
    found = [written(disk) for disk in disks]
    for sectors in found:
        # All that was written before the moment is there, and nothing of what came after.
        assert sectors == sorted(sectors, reverse=True)
    assert [sum(sectors) for sectors in found] == sorted(sum(sectors) for sectors in found)


async def test_with_the_guest_s_agent_a_snapshot_has_what_was_only_in_memory(
    hypervisor, shared, guest
):
    if "qemu-ga" not in await inside(hypervisor, shared, "command -v qemu-ga; true"):
        pytest.skip("the guest has no agent")
    place = hypervisor.root / "guests" / guest.id
    async with asyncio.timeout(60):
        while True:
            if await agent.is_there(place):
                break
            await asyncio.sleep(0.1)
    volume = await hypervisor.volumes.create(size_gib=1)
    await hypervisor.volumes.attach(volume.id, guest.id)
    name = await device(hypervisor, shared, volume.id)
    write = f"mke2fs {name} >&2 && mount {name} /mnt && sync && echo unwritten >/mnt/f"
    await inside(hypervisor, shared, write)
    done = await settled(hypervisor, (await hypervisor.snapshots.create(volume.id)).id)
    assert (done.state, done.consistent) == (SnapshotState.COMPLETED, "filesystem")
    # It is thawed: it writes.
    await inside(hypervisor, shared, "echo more >/mnt/g && sync && umount /mnt")
    copy = await hypervisor.volumes.create(snapshot_id=done.id)
    await hypervisor.volumes.attach(copy.id, guest.id)
    name = await device(hypervisor, shared, copy.id)
    read = f"mount -o ro {name} /mnt && cat /mnt/*; umount /mnt"
    assert await inside(hypervisor, shared, read) == "unwritten\n"
    assert not (place / agent.FROZEN).exists()


async def test_a_volume_of_a_snapshot_has_its_data_and_keeps_it(hypervisor, guest):
    volume_id = await filled_at(hypervisor, guest.id)
    snapshot = await settled(hypervisor, (await hypervisor.snapshots.create(volume_id)).id)
    assert disk_of(hypervisor, snapshot.id).stat().st_mode & 0o777 == 0o400
    with pytest.raises(Invalid):
        await hypervisor.volumes.create(snapshot_id=snapshot.id, size_gib=0)
    copy = await hypervisor.volumes.create(snapshot_id=snapshot.id, size_gib=2)
    await hypervisor.volumes.detach(volume_id)
    await hypervisor.volumes.destroy(volume_id)
    with pytest.raises(Conflict, match=copy.id):
        await hypervisor.snapshots.destroy(snapshot.id)
    await hypervisor.volumes.attach(copy.id, guest.id)
    again = await settled(hypervisor, (await hypervisor.snapshots.create(copy.id)).id)
    await hypervisor.volumes.detach(copy.id)
    await hypervisor.volumes.destroy(copy.id)
    await hypervisor.snapshots.destroy(snapshot.id)
    # A snapshot of what lay on a snapshot needs neither of the two.
    assert holds(disk_of(hypervisor, again.id))


async def test_a_token_is_one_snapshot(hypervisor, guest):
    volume_id = await filled_at(hypervisor, guest.id)
    made = await asyncio.gather(
        *(hypervisor.snapshots.create(volume_id, name="ü", token="s") for _ in range(4))
    )
    assert len({snapshot.id for snapshot in made}) == 1
    assert (await settled(hypervisor, made[0].id)).is_completed
    with pytest.raises(Conflict):
        await hypervisor.snapshots.create(volume_id, name="other", token="s")


async def test_snapshots_of_one_volume_at_once_are_all_made(hypervisor, guest):
    volume_id = await filled_at(hypervisor, guest.id)
    made = await asyncio.gather(*(hypervisor.snapshots.create(volume_id) for _ in range(3)))
    for snapshot in made:
        assert (await settled(hypervisor, snapshot.id)).is_completed
        assert holds(disk_of(hypervisor, snapshot.id))


async def test_a_volume_that_is_copied_stays_as_it_is(hypervisor, guest, other, slowly):
    id = await snapshot_of(hypervisor, guest.id)
    (volume,) = await hypervisor.volumes.all()
    for forbidden in (
        hypervisor.volumes.detach(volume.id),
        hypervisor.volumes.resize(volume.id, 2),
        hypervisor.volumes.attach(volume.id, other),
        hypervisor.volumes.create(snapshot_id=id),
    ):
        with pytest.raises(Conflict):
            await forbidden
    await hypervisor.snapshots.destroy(id)
    with pytest.raises(NotFound):
        await hypervisor.snapshots.get(id)
    await agrees(hypervisor)
    await hypervisor.volumes.detach(volume.id)


async def test_a_copy_outlives_the_server_and_is_taken_up_by_the_next_one(
    hypervisor, shared, guest, slowly
):
    async with open_hypervisor(shared.root) as first:
        id = await snapshot_of(first, guest.id)
        # This server has seen it too, and leaves it to the first one.
        assert (await hypervisor.snapshots.get(id)).state is SnapshotState.PENDING
    await hurry(hypervisor, guest.id, id)
    assert (await settled(hypervisor, id)).is_completed
    assert holds(disk_of(hypervisor, id))


async def test_a_guest_killed_while_it_is_copied_leaves_a_failed_snapshot(
    hypervisor, guest, slowly
):
    id = await snapshot_of(hypervisor, guest.id, token="killed")
    os.kill((await hypervisor.guest(guest.id)).pid or 0, signal.SIGKILL)
    failed = await settled(hypervisor, id)
    assert failed.state is SnapshotState.ERROR
    assert failed.error
    await hypervisor.wait(guest.id, frozenset({State.STOPPED, State.ERROR}), 60)
    await agrees(hypervisor)
    assert (await hypervisor.volumes.get(failed.volume_id)).guest_id == guest.id
    anew = await hypervisor.snapshots.create(failed.volume_id, token="killed")
    assert anew.id == id
    assert (await settled(hypervisor, id)).is_completed
    assert holds(disk_of(hypervisor, id))


async def copier(disk: Path) -> int:
    """Return the process that copies to a file, stopped."""
    async with asyncio.timeout(30):
        while True:
            for process in with_argument(str(disk)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGSTOP)
                    return process.pid
            await asyncio.sleep(0)


async def test_qemu_img_killed_leaves_a_failed_snapshot(hypervisor):
    volume = await hypervisor.volumes.create(size_gib=1)
    fill(hypervisor.root, volume.id, 512)
    snapshot = await hypervisor.snapshots.create(volume.id, token="img")
    os.kill(await copier(disk_of(hypervisor, snapshot.id)), signal.SIGKILL)
    assert (await settled(hypervisor, snapshot.id)).state is SnapshotState.ERROR
    await agrees(hypervisor)
    await hypervisor.snapshots.create(volume.id, token="img")
    assert (await settled(hypervisor, snapshot.id)).is_completed
    assert holds(disk_of(hypervisor, snapshot.id), 512)


async def test_a_guest_starts_once_its_volume_is_copied(hypervisor, other):
    volume_id = await filled_at(hypervisor, other, 512)
    snapshot = await hypervisor.snapshots.create(volume_id)
    pid = await copier(disk_of(hypervisor, snapshot.id))
    await hypervisor.start(other)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await hypervisor.wait(other, RUNNING, 60)
    os.kill(pid, signal.SIGCONT)
    assert (await settled(hypervisor, snapshot.id)).is_completed
    started = await hypervisor.wait(other, RUNNING, 120)
    assert started.state is State.RUNNING, started.reason
    assert (await in_qemu(hypervisor.root, other))[0] == {volume_id}
    assert holds(disk_of(hypervisor, snapshot.id), 512)


@pytest.fixture
def little_room(root: Path) -> Iterator[None]:
    """Leave 16 MiB for snapshots, by a file system of their own."""
    place = root / "snapshots"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)])
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_fails_the_snapshot_and_the_guest_goes_on(
    hypervisor, shared, guest, little_room, slowly
):
    volume_id = await filled_at(hypervisor, guest.id)
    name = await device(hypervisor, shared, volume_id)
    snapshot = await hypervisor.snapshots.create(volume_id)
    # What the guest writes must be copied first: that fills the disk, which the guest must bear.
    command = f"dd if=/dev/zero of={name} bs=1M count=64 conv=fsync >&2 && echo well"
    assert await inside(hypervisor, shared, command) == "well\n"
    failed = await settled(hypervisor, snapshot.id)
    assert failed.state is SnapshotState.ERROR
    assert "the disk is full" in (failed.error or "")
    assert (await hypervisor.guest(guest.id)).state is State.RUNNING
    await hypervisor.snapshots.destroy(snapshot.id)
    await agrees(hypervisor)


async def test_a_root_disk_is_copied_whole_and_orphans_are_ended(
    hypervisor, guest, tmp_path, monkeypatch
):
    place = hypervisor.root / "guests" / guest.id
    target = tmp_path / "copy.qcow2"
    await copy_running(place / QMP, "root", target)
    monkeypatch.setattr(copying, "BYTES_PER_S", 2**18)
    assert holds(target, 0)
    assert b"backing file" not in info(target)
    assert target.stat().st_mode & 0o777 == 0o600
    async with workspace(tmp_path) as work:
        work_on_it = asyncio.create_task(copy_running(place / QMP, "root", work / "copy"))
        async with asyncio.timeout(30):
            while True:
                if (await in_qemu(hypervisor.root, guest.id))[2]:
                    break
                await asyncio.sleep(0)
        (work / "copy").unlink()
        await clear_orphans(place / QMP)
        with pytest.raises(Exception, match="no longer knows"):
            await work_on_it
    await agrees(hypervisor)


async def test_a_snapshot_of_a_free_volume_is_made_beside_qemu(hypervisor):
    volume = await hypervisor.volumes.create(size_gib=1)
    fill(hypervisor.root, volume.id)
    done = await settled(hypervisor, (await hypervisor.snapshots.create(volume.id)).id)
    assert done.is_completed
    assert done.size_bytes >= DATA_MIB * 2**20
    assert holds(disk_of(hypervisor, done.id))
    assert (await hypervisor.volumes.get(volume.id)).hold is Hold.FREE
