"""What a rehearsal foresees: that what is named is there and that states allow it; nothing more."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import nimbi
from nimbi.driver.blobs import Buckets
from nimbi.driver.compute import Instances, Keys
from nimbi.driver.network import Addresses, Subnets
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import NewBucket
from nimbi.model.errors import Conflict, Invalid, NotFound, QuotaExceeded, Unsupported
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.networks import NewSubnet
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume, VolumeTarget


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with nimbi.connect(
        "mock", user="mockuser", password="mockpassword", state_dir=tmp_path
    ) as cloud:
        yield cloud


async def test_what_would_go_well_changes_nothing(cloud: Cloud) -> None:
    before = [instance async for instance in cloud.each(Instances.page)]
    await cloud.rehearse(Instances.create, NewInstance(image_id="img1", realm_id="us"))
    await cloud.rehearse(Instances.stop, "inst1")
    await cloud.rehearse(Snapshots.create, NewSnapshot(volume_id="vol1"))
    assert [instance async for instance in cloud.each(Instances.page)] == before


@pytest.mark.parametrize(
    "new",
    [
        NewInstance(image_id="none"),
        NewInstance(image_id="img1", realm_id="none"),
        NewInstance(image_id="img1", hardware_profile_id="none"),
        NewInstance(image_id="img1", key_id="none"),
        NewInstance(image_id="img1", firewall_ids=("none",)),
    ],
)
async def test_what_is_named_must_be_there(cloud: Cloud, new: NewInstance) -> None:
    with pytest.raises(NotFound, match="none"):
        await cloud.rehearse(Instances.create, new)


async def test_references_of_all_kinds_are_looked_at(cloud: Cloud) -> None:
    with pytest.raises(NotFound):
        await cloud.rehearse(Instances.stop, "none")
    with pytest.raises(NotFound):
        await cloud.rehearse(Volumes.attach, "vol1", VolumeTarget(instance_id="none"))
    with pytest.raises(NotFound):
        new = NewSubnet(network_id="none", address_block="10.0.0.0/24")
        await cloud.rehearse(Subnets.create, new)
    with pytest.raises(NotFound):
        await cloud.rehearse(Addresses.associate, "192.168.0.1", "none")


async def test_what_a_wish_itself_shows_is_refused_as_by_a_call(cloud: Cloud) -> None:
    with pytest.raises(Invalid):
        await cloud.rehearse(Instances.create, NewInstance())
    with pytest.raises(Invalid):
        await cloud.rehearse(Instances.create_many, NewInstance(image_id="img1"), 101)
    with pytest.raises(Invalid, match="memory_mib"):
        new = NewInstance(
            image_id="img1", hardware_profile_id="m1-large", sizes=Sizes(memory_mib=3)
        )
        await cloud.rehearse(Instances.create, new)
    narrow = Cloud(cloud.driver, {})
    with pytest.raises(Unsupported):
        await narrow.rehearse(Instances.stop, "inst1")


async def test_states_forbid_what_they_would(cloud: Cloud) -> None:
    with pytest.raises(Conflict, match="start is not possible"):
        await cloud.rehearse(Instances.start, "inst1")
    made = await cloud.volumes.create(NewVolume(size_gib=1))
    with pytest.raises(Conflict, match="attached nowhere"):
        await cloud.rehearse(Volumes.detach, made.id)
    await cloud.volumes.attach(made.id, VolumeTarget(instance_id="inst1"))
    with pytest.raises(Conflict, match="attached already"):
        await cloud.rehearse(Volumes.attach, made.id, VolumeTarget(instance_id="inst1"))
    with pytest.raises(Conflict, match="is attached"):
        await cloud.rehearse(Volumes.destroy, made.id)


async def test_a_name_in_use_is_seen(cloud: Cloud) -> None:
    with pytest.raises(Conflict, match="in use"):
        await cloud.rehearse(Buckets.create, NewBucket(name="bucket1"))
    with pytest.raises(Conflict, match="in use"):
        await cloud.rehearse(Keys.create, NewKey(name="test-key"))
    await cloud.rehearse(Keys.create, NewKey(name="another"))


async def test_a_quota_that_is_used_up_is_seen(tmp_path: Path) -> None:
    settings = {"faults": {"quota": {"instances": 1}}}
    async with nimbi.connect(
        "mock",
        user="mockuser",
        password="mockpassword",
        state_dir=tmp_path,
        settings=settings,
    ) as cloud:
        with pytest.raises(QuotaExceeded):
            await cloud.rehearse(Instances.create, NewInstance(image_id="img1"))
