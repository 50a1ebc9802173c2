"""Volumes of real guests, with data written inside and read back elsewhere."""

import asyncio
import shutil

import pytest
from tests.qemu.disks.conftest import agrees, fill, holds, in_qemu

from nimbi.qemu import Capacity, Conflict, GuestSpec, Hypervisor, Invalid, NotFound, State
from nimbi.qemu.disks.records import DISK, Hold

pytestmark = [pytest.mark.guest, pytest.mark.xdist_group("guest")]

RUNNING = frozenset({State.RUNNING, State.ERROR})
LOOK = (
    "look() {{ for d in /sys/block/vd*; do s=; read -r s <$d/serial; "
    '[ "$s" = {} ] && echo /dev/${{d##*/}}; done; }}; '
)
FIND = LOOK + 'until [ "$(look)" ]; do usleep 50000; done; look; true'
"""A system sees a new disk a moment after it was plugged in."""


async def device(hypervisor: Hypervisor, shared, volume_id: str) -> str:
    """Return the name of a volume inside the shared guest, once it is there."""
    return (await inside(hypervisor, shared, FIND.format(volume_id))).strip()


async def inside(hypervisor: Hypervisor, shared, command: str) -> str:
    told = await hypervisor.run(shared.id, command, shared.private_key)
    assert told.exit_code == 0, told.err
    return told.out.decode()


async def test_what_one_guest_writes_another_one_reads(hypervisor, shared, guest):
    volume = await hypervisor.volumes.create(size_gib=1)
    attached = await hypervisor.volumes.attach(volume.id, guest.id, "/dev/sdc")
    assert (attached.guest_id, attached.place) == (guest.id, "/dev/sdc")
    name = await device(hypervisor, shared, volume.id)
    await inside(hypervisor, shared, f"mke2fs {name} >&2 && mount {name} /mnt && echo kept >/mnt/f")
    await inside(hypervisor, shared, "umount /mnt")
    free = await hypervisor.volumes.detach(volume.id)
    assert (free.hold, free.guest_id, free.place) == (Hold.FREE, None, None)
    assert await inside(hypervisor, shared, LOOK.format(volume.id) + "look; true") == ""
    script = f"#!/bin/sh\nname=$({FIND.format(volume.id)})\nmount $name /mnt && cat /mnt/f\n"
    reader = GuestSpec(
        name="reader", image_id=shared.image_id, memory_mib=96, user_data=script.encode()
    )
    made = await hypervisor.create(reader)
    try:
        await hypervisor.volumes.attach(volume.id, made.id)
        await hypervisor.wait(made.id, RUNNING, 120)
        async with asyncio.timeout(60):
            while True:
                if b"kept" in await hypervisor.console(made.id):
                    break
                await asyncio.sleep(0.1)
    finally:
        await hypervisor.destroy(made.id)
    assert (await hypervisor.volumes.get(volume.id)).hold is Hold.FREE


async def test_a_guest_finds_its_volumes_again_at_the_same_places(hypervisor, shared, guest):
    first = await hypervisor.volumes.create(size_gib=1)
    second = await hypervisor.volumes.create(size_gib=2)
    await hypervisor.volumes.attach(first.id, guest.id)
    slot = (await hypervisor.volumes.attach(second.id, guest.id)).slot
    await hypervisor.volumes.detach(first.id)
    await hypervisor.stop(guest.id)
    await hypervisor.wait(guest.id, frozenset({State.STOPPED}), 120)
    third = await hypervisor.volumes.create(size_gib=3)
    assert (await hypervisor.volumes.attach(third.id, guest.id)).hold is Hold.ATTACHED
    await hypervisor.start(guest.id)
    await hypervisor.wait(guest.id, RUNNING, 120)
    sizes = [
        await inside(
            hypervisor,
            shared,
            f"cat /sys/class/block/{(await device(hypervisor, shared, id))[5:]}/size",
        )
        for id in (second.id, third.id)
    ]
    assert [int(size) // 2**21 for size in sizes] == [2, 3]
    assert (await hypervisor.volumes.get(second.id)).slot == slot
    await agrees(hypervisor)


async def test_a_volume_grows_while_its_guest_uses_it_and_never_shrinks(hypervisor, shared, guest):
    volume = await hypervisor.volumes.create(size_gib=1)
    await hypervisor.volumes.attach(volume.id, guest.id)
    await hypervisor.volumes.resize(volume.id, 3)
    name = await device(hypervisor, shared, volume.id)
    assert (
        int(await inside(hypervisor, shared, f"cat /sys/class/block/{name[5:]}/size")) == 3 * 2**21
    )
    with pytest.raises(Invalid):
        await hypervisor.volumes.resize(volume.id, 2)
    await hypervisor.volumes.detach(volume.id)
    assert (await hypervisor.volumes.resize(volume.id, 4)).size_gib == 4
    await hypervisor.volumes.attach(volume.id, guest.id)
    name = await device(hypervisor, shared, volume.id)
    assert (
        int(await inside(hypervisor, shared, f"cat /sys/class/block/{name[5:]}/size")) == 4 * 2**21
    )


async def test_a_guest_that_does_not_let_go_keeps_the_volume_until_it_does(hypervisor, guest):
    volume = await hypervisor.volumes.create(size_gib=1)
    await hypervisor.volumes.attach(volume.id, guest.id)
    await hypervisor.pause(guest.id)
    with pytest.raises(Conflict, match="has not let go"):
        await hypervisor.volumes.detach(volume.id, within_s=1)
    kept = await hypervisor.volumes.get(volume.id)
    assert (kept.guest_id, kept.hold) == (guest.id, Hold.DETACHING)
    assert (await in_qemu(hypervisor.root, guest.id))[0] == {volume.id}
    for forbidden in (
        hypervisor.volumes.destroy(volume.id),
        hypervisor.volumes.attach(volume.id, guest.id),
    ):
        with pytest.raises(Conflict):
            await forbidden
    await hypervisor.resume(guest.id)
    await agrees(hypervisor)
    assert (await hypervisor.volumes.get(volume.id)).hold is Hold.FREE


async def test_a_guest_that_is_killed_lets_go_of_what_it_should(hypervisor, guest):
    kept, gone = [await hypervisor.volumes.create(size_gib=1) for _ in range(2)]
    for volume in (kept, gone):
        await hypervisor.volumes.attach(volume.id, guest.id)
    await hypervisor.pause(guest.id)
    with pytest.raises(Conflict):
        await hypervisor.volumes.detach(gone.id, within_s=0)
    await hypervisor.stop(guest.id, within_s=0)
    await hypervisor.wait(guest.id, frozenset({State.STOPPED}), 120)
    await agrees(hypervisor)
    assert (await hypervisor.volumes.get(gone.id)).hold is Hold.FREE
    assert (await hypervisor.volumes.get(kept.id)).guest_id == guest.id


async def test_attached_once_is_attached_nowhere_else(hypervisor, guest, other):
    volume = await hypervisor.volumes.create(size_gib=1)
    asked = [hypervisor.volumes.attach(volume.id, id) for id in (guest.id, other) * 3]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 5
    with pytest.raises(Conflict):
        await hypervisor.volumes.destroy(volume.id)


async def test_a_device_is_a_name_used_once(hypervisor, guest):
    first, second = [await hypervisor.volumes.create(size_gib=1) for _ in range(2)]
    await hypervisor.volumes.attach(first.id, guest.id, "/dev/sdx")
    with pytest.raises(Conflict):
        await hypervisor.volumes.attach(second.id, guest.id, "/dev/sdx")
    for bad in ("", "sdx", "/dev/", "/dev/../etc", "/dev/a b", "/dev/" + "x" * 99, "/dev/x\n"):
        with pytest.raises(Invalid):
            await hypervisor.volumes.attach(second.id, guest.id, bad)
    assert (await hypervisor.volumes.get(second.id)).hold is Hold.FREE


async def test_a_guest_has_so_many_places_and_no_more(hypervisor, other):
    for number in range(14):
        volume = await hypervisor.volumes.create(size_gib=1)
        if number == 13:
            with pytest.raises(Capacity):
                await hypervisor.volumes.attach(volume.id, other)
        else:
            assert (await hypervisor.volumes.attach(volume.id, other)).slot == 7 + number


async def test_a_token_is_one_volume(hypervisor):
    made = await asyncio.gather(
        *(hypervisor.volumes.create(name="ü ✓", size_gib=1, token="t") for _ in range(4))
    )
    assert len({volume.id for volume in made}) == 1
    with pytest.raises(Conflict):
        await hypervisor.volumes.create(name="other", size_gib=1, token="t")
    disk = hypervisor.root / "volumes" / made[0].id / DISK
    assert disk.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size_gib", [0, -1, 2**16 + 1])
async def test_a_size_out_of_range_is_invalid(hypervisor, size_gib: int):
    with pytest.raises(Invalid):
        await hypervisor.volumes.create(size_gib=size_gib)


async def test_what_the_disk_cannot_bear_is_refused_at_once(hypervisor):
    with pytest.raises(Capacity):
        await hypervisor.volumes.create(size_gib=2**16)
    volume = await hypervisor.volumes.create(size_gib=1)
    with pytest.raises(Capacity):
        await hypervisor.volumes.resize(volume.id, 2**16)
    assert (await hypervisor.volumes.get(volume.id)).size_gib == 1


async def test_promises_to_volumes_and_guests_add_up(hypervisor, shared, monkeypatch):
    first = await hypervisor.volumes.create(size_gib=1)
    free = shutil.disk_usage(hypervisor.root)
    promised = 1024 * (1 + (await hypervisor.guest(shared.id)).disk_gib + 1)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: free._replace(free=(promised + 1024) * 2**20)
    )
    with pytest.raises(Capacity):
        await hypervisor.volumes.resize(first.id, 4)
    with pytest.raises(Capacity):
        await hypervisor.create(GuestSpec(name="big", image_id=shared.image_id, disk_gib=4))


@pytest.mark.parametrize(
    "id", ["", "vol-", "../x", "vol-zzzzzzzzzzzzzzzz", "vol-" + "0" * 16, "\0"]
)
async def test_what_cannot_be_an_id_is_not_found(hypervisor, shared, id: str):
    volumes, snapshots = hypervisor.volumes, hypervisor.snapshots
    for call in (
        volumes.get(id),
        volumes.destroy(id),
        volumes.attach(id, shared.id),
        volumes.detach(id),
        volumes.resize(id, 5),
        volumes.create(snapshot_id=id),
        snapshots.create(id),
        snapshots.get(id),
        snapshots.destroy(id),
    ):
        with pytest.raises(NotFound):
            await call


async def test_data_survive_all_that_is_done_to_a_volume(hypervisor, other):
    volume = await hypervisor.volumes.create(size_gib=1)
    fill(hypervisor.root, volume.id)
    await hypervisor.volumes.attach(volume.id, other)
    await hypervisor.volumes.resize(volume.id, 2)
    await hypervisor.start(other)
    await hypervisor.wait(other, RUNNING, 120)
    await hypervisor.volumes.detach(volume.id)
    assert holds(hypervisor.root / "volumes" / volume.id / DISK)
