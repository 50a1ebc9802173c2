"""Everything that Nova does, done on a real one; all tests share one guest, for a boot is dear."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from openstack.connection import Connection
from tests.targets.openstack.projects import Project, quiet

from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.moves import brought, comes_true, gone, rested
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, OutOfCapacity
from nimbi.model.firewalls import NewFirewall
from nimbi.model.hardware_profiles import HardwareProfile, Sizes
from nimbi.model.instances import (
    Instance,
    InstanceFilter,
    InstanceState,
    NewAttachment,
    NewInstance,
    UserFile,
)
from nimbi.model.keys import NewKey
from nimbi.model.volumes import NewVolume, VolumeState

PATIENCE_S = 240.0
ADDRESS = "10.66.0.77"
USER_DATA = b"#!/bin/sh\necho from nimbi\n"


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    """What the tests of this module share, by name."""
    return {}


@pytest.fixture
async def patient(cloud: Cloud) -> AsyncIterator[Cloud]:
    """Give a login that waits longer than usual: everything here boots without hardware."""
    yield cloud.within(PATIENCE_S)


@pytest.fixture
async def nano(cloud: Cloud) -> HardwareProfile:
    return (await cloud.hardware_profiles.page(None, 1)).items[0]


@pytest.fixture
async def guest(
    patient: Cloud, ids: dict[str, str], project: Project, image_id: str, nano: HardwareProfile
) -> Instance:
    """Give the shared guest, launched with everything that can be told at a launch."""
    cloud = patient
    if "guest" not in ids:
        key = await cloud.keys.create(NewKey(name=fresh_name()))
        wall = await cloud.firewalls.create(NewFirewall(name=fresh_name(), description="a test"))
        new = await cloud.instances.create(
            NewInstance(
                image_id=image_id,
                name="the guest",
                hardware_profile_id=nano.id,
                network_ids=(project.network_id,),
                fixed_address=ADDRESS,
                key_id=key.id,
                firewall_ids=(wall.id,),
                user_data=USER_DATA,
                config_drive=True,
                tags={"role": "test", "ünï": "☃"},
            )
        )
        ids |= {"guest": new.id, "key": key.id, "wall": wall.id}
    return await rested(cloud, ids["guest"], PATIENCE_S)


async def arrived(cloud: Cloud, id: str, state: InstanceState) -> Instance:
    return await cloud.wait(Instances.get, id, until={state}, timeout_s=PATIENCE_S)


async def test_all_that_was_asked_at_the_launch_is_had(
    guest: Instance, ids: dict[str, str], project: Project, oracle: Connection, image_id: str
) -> None:
    assert guest.state is InstanceState.RUNNING
    assert [each.address for each in guest.private_addresses] == [ADDRESS]
    assert guest.firewall_ids == (ids["wall"],)
    assert guest.subnet_id == project.subnet_id
    assert len(guest.network_interface_ids) == 1
    assert guest.tags == {"role": "test", "ünï": "☃"}
    assert guest.login is not None
    assert guest.login.key_id == ids["key"]
    assert guest.image_id == image_id
    with quiet():
        seen = oracle.compute.get_server(guest.id)
    assert seen.has_config_drive
    assert (seen.name, seen.metadata["role"]) == ("the guest", "test")


async def test_the_console_tells_of_the_boot(patient: Cloud, guest: Instance) -> None:
    async def has_told() -> bool:
        return b"guest" in await patient.instances.console(guest.id)

    await comes_true(has_told, "the guest has not said a word", PATIENCE_S)


async def test_the_cloud_shows_the_screen_at_a_url(patient: Cloud, guest: Instance) -> None:
    link = await patient.instances.console_link(guest.id)
    assert link.protocol == "vnc"
    assert link.url.startswith("http")
    assert "token" in link.url
    assert "token" not in repr(link)


async def test_lists_are_sifted_by_realm_state_tags_and_time(
    patient: Cloud, guest: Instance
) -> None:
    now = datetime.now(UTC)
    for where, is_listed in (
        (InstanceFilter(realm_id=guest.realm_id), True),
        (InstanceFilter(realm_id="elsewhere"), False),
        (InstanceFilter(state=InstanceState.RUNNING), True),
        (InstanceFilter(state=InstanceState.STOPPED), False),
        (InstanceFilter(tags={"ünï": "☃"}), True),
        (InstanceFilter(tags={"ünï": "sun"}), False),
        (InstanceFilter(changed_since=now - timedelta(days=1)), True),
        (InstanceFilter(changed_since=now + timedelta(minutes=5)), False),
    ):
        found = [i.id async for i in patient.each(Instances.page, where=where)]
        assert (guest.id in found) is is_listed, where


async def test_a_locked_guest_is_left_alone(patient: Cloud, guest: Instance) -> None:
    await patient.instances.lock(guest.id)
    try:
        assert (await patient.instances.get(guest.id)).locked
        for operation in (Instances.stop, Instances.reboot, Instances.destroy):
            # An administrator may, and this is none.
            with pytest.raises(Conflict):
                await patient.call(operation, guest.id)
    finally:
        await patient.instances.unlock(guest.id)
    assert not (await patient.instances.get(guest.id)).locked


async def test_a_guest_can_be_held_and_let_go(patient: Cloud, guest: Instance) -> None:
    await patient.instances.pause(guest.id)
    await arrived(patient, guest.id, InstanceState.PAUSED)
    await patient.instances.resume(guest.id)
    await arrived(patient, guest.id, InstanceState.RUNNING)


async def test_an_action_waits_for_the_one_before(patient: Cloud, guest: Instance) -> None:
    """Nova refuses what comes while it is at work: each of these comes too early."""
    await patient.instances.stop(guest.id)
    await patient.instances.start(guest.id)
    await patient.instances.pause(guest.id)
    await patient.instances.resume(guest.id)
    await arrived(patient, guest.id, InstanceState.RUNNING)


async def test_a_guest_can_be_rescued_and_go_back(patient: Cloud, guest: Instance) -> None:
    await patient.instances.rescue(guest.id)
    await rested(patient, guest.id, PATIENCE_S)
    assert (await patient.instances.get(guest.id)).rescued
    await patient.instances.unrescue(guest.id)
    after = await rested(patient, guest.id, PATIENCE_S)
    assert (after.state, after.rescued) == (InstanceState.RUNNING, False)


async def test_a_guest_is_resized_and_the_resizing_confirmed(
    patient: Cloud, guest: Instance, nano: HardwareProfile
) -> None:
    await brought(patient, guest.id, InstanceState.STOPPED, PATIENCE_S)
    _, micro = (await patient.hardware_profiles.page(None, 2)).items
    assert micro.memory_mib is not None
    memory = micro.memory_mib.default
    assert not isinstance(memory, str)
    resized = await patient.instances.resize(guest.id, Sizes(memory_mib=memory))
    assert resized.hardware_profile_id == micro.id != nano.id
    assert resized.state is InstanceState.STOPPED
    assert resized.private_addresses == guest.private_addresses


async def test_a_guest_is_rebuilt(patient: Cloud, guest: Instance, image_id: str) -> None:
    await patient.instances.rebuild(guest.id, image_id)
    after = await rested(patient, guest.id, PATIENCE_S)
    assert (after.image_id, after.private_addresses) == (image_id, guest.private_addresses)


async def test_a_guest_is_shelved_and_comes_back(patient: Cloud, guest: Instance) -> None:
    await patient.instances.shelve(guest.id)
    shelved = await rested(patient, guest.id, PATIENCE_S)
    assert (shelved.state, shelved.shelved) == (InstanceState.STOPPED, True)
    with pytest.raises(Conflict):
        await patient.instances.resize(guest.id, Sizes())
    await patient.instances.unshelve(guest.id)
    after = await rested(patient, guest.id, PATIENCE_S)
    assert (after.state, after.shelved) == (InstanceState.RUNNING, False)


async def test_the_guest_goes_and_then_its_firewall(
    patient: Cloud, guest: Instance, ids: dict[str, str]
) -> None:
    """Its port still has the firewall when Nova tells of the guest no more."""
    await patient.instances.destroy(guest.id)
    await gone(lambda: patient.instances.get(guest.id), PATIENCE_S)
    await patient.firewalls.destroy(ids["wall"])
    await patient.keys.destroy(ids["key"])
    ids.clear()


async def test_a_guest_boots_from_a_new_volume_that_goes_with_it(
    patient: Cloud, image_id: str, nano: HardwareProfile
) -> None:
    new = await patient.instances.create(
        NewInstance(
            image_id=image_id,
            hardware_profile_id=nano.id,
            volumes=(NewAttachment(device="/dev/vda", size_gib=1, boot=True),),
        )
    )
    found = await rested(patient, new.id, PATIENCE_S)
    assert found.image_id is None
    (disk,) = found.volumes
    assert (await patient.volumes.get(disk.volume_id)).instance_id == new.id
    await patient.instances.destroy(new.id)
    await gone(lambda: patient.volumes.get(disk.volume_id), PATIENCE_S)


async def test_a_guest_boots_from_a_volume_that_was_there(
    patient: Cloud, image_id: str, nano: HardwareProfile
) -> None:
    id = (await patient.volumes.create(NewVolume(image_id=image_id, size_gib=1))).id
    await patient.wait(
        Volumes.get,
        id,
        until={VolumeState.AVAILABLE},
        failing={VolumeState.ERROR},
        timeout_s=PATIENCE_S,
    )
    extra = await patient.volumes.create(NewVolume(size_gib=1))
    new = await patient.instances.create(
        NewInstance(boot_volume_id=id, hardware_profile_id=nano.id)
    )
    found = await rested(patient, new.id, PATIENCE_S)
    assert [each.volume_id for each in found.volumes] == [id]
    await patient.instances.destroy(new.id)
    await gone(lambda: patient.instances.get(new.id), PATIENCE_S)
    for volume in (id, extra.id):
        await patient.wait(Volumes.get, volume, until={VolumeState.AVAILABLE}, timeout_s=60)
        await patient.volumes.destroy(volume)


async def test_two_of_one_wish_take_files_and_are_made_once(
    patient: Cloud, image_id: str, nano: HardwareProfile
) -> None:
    wish = NewInstance(
        token=fresh_name(),
        image_id=image_id,
        hardware_profile_id=nano.id,
        config_drive=True,
        user_files=(UserFile("/etc/nimbi", b"a file\n"),),
    )
    made = await patient.instances.create_many(wish, 2)
    again = await patient.instances.create_many(wish, 2)
    assert len({each.id for each in made}) == 2
    assert {each.id for each in made} == {each.id for each in again}
    for each in made:
        await patient.instances.destroy(each.id)
    for each in made:
        await gone(lambda id=each.id: patient.instances.get(id), PATIENCE_S)


async def test_what_no_host_has_room_for_is_out_of_capacity_and_leaves_nothing(
    patient: Cloud, image_id: str, admin: Connection
) -> None:
    name = fresh_name()
    with quiet():
        flavour = admin.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1_000_000)
    try:
        before = {i.id async for i in patient.each(Instances.page)}
        with pytest.raises(OutOfCapacity, match="No valid host"):
            await patient.instances.create(
                NewInstance(image_id=image_id, hardware_profile_id=flavour.id)
            )

        async def is_clean() -> bool:
            return {i.id async for i in patient.each(Instances.page)} <= before

        await comes_true(is_clean, "what has no host is still there", PATIENCE_S)
    finally:
        with quiet():
            admin.compute.delete_flavor(flavour)
