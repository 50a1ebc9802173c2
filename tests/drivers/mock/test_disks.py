"""Volumes and snapshots."""

import math

import pytest

from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.session import Session
from nimbi.drivers.mock.snapshots import MockSnapshots
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.instances import Attachment
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume, VolumeState, VolumeTarget


async def test_a_volume_is_made_as_asked(session: Session) -> None:
    wish = NewVolume(size_gib=2.5, realm_id="eu", name="data", description="My data")
    made = await MockVolumes(session).create(wish)
    assert (made.size_gib, made.realm_id, made.name, made.description) == (
        2.5,
        "eu",
        "data",
        "My data",
    )
    plain = await MockVolumes(session).create(NewVolume())
    assert (plain.size_gib, plain.realm_id, plain.state) == (1, "us", VolumeState.AVAILABLE)
    assert plain.id != made.id


async def test_ids_of_volumes_are_not_used_again(session: Session) -> None:
    volumes = MockVolumes(session)
    first = await volumes.create(NewVolume())
    await volumes.destroy(first.id)
    assert (await volumes.create(NewVolume())).id != first.id


@pytest.mark.parametrize("size", [0, -1, math.inf, math.nan, 10**9])
async def test_a_size_that_is_none_is_invalid(session: Session, size: float) -> None:
    with pytest.raises(Invalid):
        await MockVolumes(session).create(NewVolume(size_gib=size))


async def test_a_volume_of_a_snapshot_is_not_smaller(session: Session) -> None:
    volumes, snapshots = MockVolumes(session), MockSnapshots(session)
    big = await volumes.create(NewVolume(size_gib=5))
    snapshot = await snapshots.create(NewSnapshot(volume_id=big.id, name="s", description="d"))
    assert (snapshot.size_gib, snapshot.name, snapshot.description) == (5, "s", "d")
    assert (await volumes.create(NewVolume(snapshot_id=snapshot.id))).size_gib == 5
    with pytest.raises(Invalid):
        await volumes.create(NewVolume(snapshot_id=snapshot.id, size_gib=1))
    with pytest.raises(NotFound):
        await volumes.create(NewVolume(snapshot_id="none"))
    with pytest.raises(Invalid):
        await volumes.create(NewVolume(realm_id="mars"))
    with pytest.raises(NotFound):
        await snapshots.create(NewSnapshot(volume_id="none"))


async def test_attaching_and_detaching_change_both_ends(session: Session) -> None:
    volumes, instances = MockVolumes(session), MockInstances(session)
    volume = await volumes.attach("vol1", VolumeTarget(instance_id="inst0", device="/dev/sdc"))
    assert (volume.state, volume.instance_id, volume.device) == (
        VolumeState.IN_USE,
        "inst0",
        "/dev/sdc",
    )
    assert (await instances.get("inst0")).volumes == (Attachment("vol1", "/dev/sdc"),)
    with pytest.raises(Conflict):
        await volumes.attach("vol1", VolumeTarget(instance_id="inst1"))
    with pytest.raises(Conflict):
        await volumes.attach("vol2", VolumeTarget(instance_id="inst0", device="/dev/sdc"))
    with pytest.raises(Conflict):
        await volumes.destroy("vol1")
    volume = await volumes.detach("vol1")
    assert (volume.state, volume.instance_id, volume.device) == (VolumeState.AVAILABLE, None, None)
    assert (await instances.get("inst0")).volumes == ()
    with pytest.raises(Conflict):
        await volumes.detach("vol1")
    await volumes.destroy("vol1")


async def test_a_device_name_is_found_when_none_is_asked(session: Session) -> None:
    volumes = MockVolumes(session)
    first = await volumes.attach("vol1", VolumeTarget(instance_id="inst0"))
    second = await volumes.attach("vol2", VolumeTarget(instance_id="inst0", device=""))
    assert (first.device, second.device) == ("/dev/sdb", "/dev/sdc")


async def test_unknown_ends_are_not_found(session: Session) -> None:
    volumes = MockVolumes(session)
    with pytest.raises(NotFound):
        await volumes.attach("none", VolumeTarget(instance_id="inst0"))
    with pytest.raises(NotFound):
        await volumes.attach("vol1", VolumeTarget(instance_id="none"))
    for verb in (volumes.get, volumes.detach, volumes.destroy, MockSnapshots(session).destroy):
        with pytest.raises(NotFound):
            await verb("none")


async def test_a_snapshot_outlives_its_volume(session: Session) -> None:
    await MockVolumes(session).destroy("vol1")
    assert (await MockSnapshots(session).get("snap1")).volume_id == "vol1"
