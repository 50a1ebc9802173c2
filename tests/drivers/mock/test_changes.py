"""Instances that are rebuilt, rescued, shelved and locked, and what tells of their changes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from nimbi.driver.interface import Account
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.faults import Faults, Quota
from nimbi.drivers.mock.instances import STATES, MockInstances
from nimbi.drivers.mock.network_interfaces import MockNetworkInterfaces
from nimbi.drivers.mock.quotas import MockQuotas
from nimbi.drivers.mock.session import LOGIN, Session
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.instances import InstanceFilter, InstanceState, NewAttachment, NewInstance
from nimbi.model.networks import NetworkState, NewNetworkInterface
from nimbi.model.volumes import NewVolume, VolumeTarget

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


async def test_what_was_there_at_first_never_changed(session: Session) -> None:
    instances = MockInstances(session)
    since = InstanceFilter(changed_since=LONG_AGO)
    assert (await instances.page(None, 100, since)).items == ()
    await instances.stop("inst1")
    changed = (await instances.page(None, 100, since)).items
    assert [instance.id for instance in changed] == ["inst1"]
    later = InstanceFilter(changed_since=datetime.now(UTC) + timedelta(seconds=1))
    assert (await instances.page(None, 100, later)).items == ()


async def test_a_change_to_one_instance_is_none_to_another(session: Session) -> None:
    instances = MockInstances(session)
    await instances.stop("inst1")
    before = datetime.now(UTC)
    await instances.stop("inst0")
    found = (await instances.page(None, 100, InstanceFilter(changed_since=before))).items
    assert [instance.id for instance in found] == ["inst0"]


async def test_what_is_gone_is_not_remembered(session: Session) -> None:
    instances = MockInstances(session)
    await instances.stop("inst1")
    await instances.destroy("inst1")
    assert session.state.changes.keys() & {"inst1"} == set()


@pytest.mark.parametrize("verb", ["stop", "reboot", "rescue", "shelve", "pause", "lock"])
async def test_a_refusal_tells_why(session: Session, verb: str) -> None:
    instances = MockInstances(session)
    await instances.rescue("inst1")
    await instances.lock("inst1")
    if verb == "lock":
        await instances.lock("inst1")
        return
    with pytest.raises(Conflict, match=rf"is running, locked, rescued: it can't {verb} now"):
        await getattr(instances, verb)("inst1")


async def test_a_locked_instance_is_neither_rebuilt_nor_resized(session: Session) -> None:
    instances = MockInstances(session)
    await instances.stop("inst1")
    await instances.lock("inst1")
    with pytest.raises(Conflict):
        await instances.rebuild("inst1", "img1")
    with pytest.raises(Conflict):
        await instances.resize("inst1", (await instances.get("inst1")).sizes)


async def test_a_paused_instance_can_be_shelved_and_a_shelved_one_destroyed(
    session: Session,
) -> None:
    instances = MockInstances(session)
    await instances.pause("inst1")
    await instances.shelve("inst1")
    shelved = await instances.get("inst1")
    assert (shelved.state, shelved.shelved) == (InstanceState.STOPPED, True)
    assert STATES.operations_on(shelved) == ("destroy", "unshelve", "lock")
    await instances.destroy("inst1")


async def test_a_stopped_instance_stays_stopped_when_it_is_rebuilt(session: Session) -> None:
    instances = MockInstances(session)
    await instances.stop("inst1")
    rebuilt = await instances.rebuild("inst1", "img1")
    assert (rebuilt.image_id, rebuilt.state) == ("img1", InstanceState.STOPPED)


async def test_an_instance_joins_each_network_in_order(session: Session) -> None:
    instances, nics = MockInstances(session), MockNetworkInterfaces(session)
    new = await instances.create(NewInstance(image_id="img1", network_ids=("net2", "net1")))
    found = [await nics.get(id) for id in new.network_interface_ids]
    assert [nic.network_id for nic in found] == ["net2", "net1"]
    told = [endpoint.address for endpoint in new.private_addresses]
    assert told == [nic.ip_address for nic in found]
    await instances.stop(new.id)
    await instances.destroy(new.id)
    left = {nic.id for nic in session.state.network_interfaces.whole.items}
    assert not left & set(new.network_interface_ids)


@pytest.mark.parametrize(
    ("ip", "kind"), [("10.1.0.9", None), ("10.9.0.1", Invalid), ("::1", Invalid), ("x", Invalid)]
)
async def test_a_fixed_address_must_be_free_and_of_the_network(
    session: Session, ip: str, kind: type[Exception] | None
) -> None:
    instances = MockInstances(session)
    wish = NewInstance(image_id="img1", network_ids=("net2",), fixed_address=ip)
    if kind is not None:
        with pytest.raises(kind):
            await instances.create(wish)
        return
    new = await instances.create(wish)
    assert [endpoint.address for endpoint in new.private_addresses] == [ip]
    with pytest.raises(Conflict):
        await instances.create(wish)


async def test_a_fixed_address_needs_a_network(session: Session) -> None:
    with pytest.raises(Invalid):
        await MockInstances(session).create(NewInstance(image_id="img1", fixed_address="10.1.0.9"))


async def test_an_interface_takes_one_instance(session: Session) -> None:
    instances, nics = MockInstances(session), MockNetworkInterfaces(session)
    nic = await nics.create(NewNetworkInterface(unattached=True, subnet_id="subnet1"))
    assert (nic.instance_id, nic.state) == (None, NetworkState.DOWN)
    wish = NewInstance(image_id="img1", network_interface_ids=(nic.id,))
    new = await instances.create(wish)
    assert (await nics.get(nic.id)).state is NetworkState.UP
    with pytest.raises(Conflict):
        await instances.create(wish)
    await instances.stop(new.id)
    await instances.destroy(new.id)
    assert (await nics.get(nic.id)).state is NetworkState.DOWN


async def test_of_many_that_ask_for_one_boot_volume_none_is_made(session: Session) -> None:
    instances, volumes = MockInstances(session), MockVolumes(session)
    volume = await volumes.create(NewVolume(image_id="img1"))
    before = len(session.state.instances)
    with pytest.raises(Conflict):
        await instances.create_many(NewInstance(boot_volume_id=volume.id), 2)
    assert len(session.state.instances) == before
    (new,) = await instances.create_many(NewInstance(boot_volume_id=volume.id), 1)
    assert new.image_id is None
    assert [held.device for held in new.volumes] == ["/dev/sda"]


async def test_a_shared_volume_leaves_one_instance_only_when_that_goes(session: Session) -> None:
    instances, volumes = MockInstances(session), MockVolumes(session)
    volume = await volumes.create(NewVolume(shared=True))
    for id in ("inst0", "inst2"):
        await volumes.attach(volume.id, VolumeTarget(instance_id=id))
    with pytest.raises(Conflict):
        await volumes.attach(volume.id, VolumeTarget(instance_id="inst2"))
    await instances.stop("inst0")
    await instances.destroy("inst0")
    left = await volumes.get(volume.id)
    assert [held.instance_id for held in left.attachments] == [left.instance_id] == ["inst2"]


async def test_mapped_volumes_go_with_the_instance_that_they_were_made_with(
    session: Session,
) -> None:
    instances, volumes = MockInstances(session), MockVolumes(session)
    boot = NewAttachment(device="/dev/vda", size_gib=3, boot=True)
    new = await instances.create(NewInstance(image_id="img1", volumes=(boot,)))
    volume = await volumes.get(new.volumes[0].volume_id)
    assert (volume.size_gib, volume.device) == (3, "/dev/vda")
    await instances.stop(new.id)
    await instances.destroy(new.id)
    assert volume.id not in session.state.volumes


async def test_a_fault_is_the_quota_of_instances(session: Session) -> None:
    quotas = MockQuotas(session)
    assert (await quotas.get("instances")).limit is None
    session.cloud.faults = Faults(quota=Quota(instances=7))
    told = await quotas.get("instances")
    assert (told.used, told.limit) == (4, 7)


async def test_a_cloud_that_was_kept_before_volumes_were_shared_lets_go_of_them(
    tmp_path: Path,
) -> None:
    """Its volumes tell where they are in two fields only."""
    settings = Settings(storage=str(tmp_path))
    cloud = MockCloud(settings)
    with cloud.world.change() as state:
        volume = state.volumes.get("vol3", "volume")
        old = msgspec.structs.replace(volume, attachments=())
        state.volumes = state.volumes.having(old)
    cloud.close()
    again = MockCloud(settings)
    async with DRIVER.open(again, Account(LOGIN)) as session:
        freed = await MockVolumes(session).detach("vol3")
    again.close()
    assert (freed.instance_id, freed.attachments) == (None, ())
