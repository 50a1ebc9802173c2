"""Cloud Servers, keys and volumes, where they differ from today's OpenStack."""

import pytest
from tests.targets.rackspace import ACCOUNT, IMAGE, Rackspace

from nimbi.driver.compute import Instances
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid, NotFound, Unsupported
from nimbi.model.instances import InstanceState, NewInstance, UserFile
from nimbi.model.keys import NewKey
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume

SERVERS = f"POST /v2/{ACCOUNT}/servers"
LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEQL0v2pI1eYV6TzJvN7lM5KJq0o9eCyQhUpGxkq1p3V me"


async def test_an_instance_is_made_with_what_rackspace_knows(
    rackspace: Rackspace, cloud: Cloud
) -> None:
    new = NewInstance(
        image_id=IMAGE,
        name="web1",
        realm_id="ORD",
        user_data=b"#cloud-config",
        user_files=(UserFile(path="/etc/motd", content=b"hello"),),
        tags={"owner": "me"},
    )
    made = await cloud.instances.create(new)
    assert made.state is InstanceState.RUNNING
    assert made.hardware_profile_id == "general1-1"
    assert made.login is not None
    assert made.login.password == "made up"
    (wish,) = rackspace.bodies(SERVERS)
    assert wish["server"]["config_drive"] is True
    assert wish["server"]["personality"][0]["path"] == "/etc/motd"
    assert [found.id async for found in cloud.each(Instances.page)] == [made.id]


async def test_the_password_of_an_instance_is_the_users(rackspace: Rackspace, cloud: Cloud) -> None:
    new = NewInstance(image_id=IMAGE, password="mine")
    made = await cloud.instances.create(new)
    assert made.login is not None
    assert made.login.password == "mine"
    assert rackspace.bodies(SERVERS)[0]["server"]["adminPass"] == "mine"
    again = await cloud.instances.get(made.id)
    assert again.login is None or again.login.password is None


async def test_an_instance_of_another_region_is_invalid(rackspace: Rackspace, cloud: Cloud) -> None:
    with pytest.raises(Invalid):
        await cloud.instances.create(NewInstance(image_id=IMAGE, realm_id="DFW"))
    assert not rackspace.bodies(SERVERS)


async def test_an_instance_stops_starts_and_goes(cloud: Cloud) -> None:
    made = await cloud.instances.create(NewInstance(image_id=IMAGE))
    await cloud.instances.stop(made.id)
    assert (await cloud.instances.get(made.id)).state is InstanceState.STOPPED
    await cloud.instances.start(made.id)
    await cloud.instances.destroy(made.id)
    with pytest.raises(NotFound):
        await cloud.instances.get(made.id)


async def test_what_rackspace_does_not_do_is_refused_before_any_request(
    rackspace: Rackspace, cloud: Cloud
) -> None:
    before = len(rackspace.asked)
    with pytest.raises(Unsupported):
        await cloud.instances.create(NewInstance(image_id=IMAGE, firewall_ids=("default",)))
    with pytest.raises(Unsupported):
        await cloud.instances.pause("an-id")
    assert len(rackspace.asked) == before


async def test_images_are_those_of_glance(cloud: Cloud) -> None:
    image = (await cloud.images.page(None, 10)).items[0]
    assert (image.id, image.name) == (IMAGE, "Debian 12 (Bookworm)")


async def test_a_key_is_imported(cloud: Cloud) -> None:
    key = await cloud.keys.create(NewKey(name="mine", public_key=LINE))
    assert (await cloud.keys.get(key.id)).name == "mine"
    await cloud.keys.destroy(key.id)


async def test_volumes_are_asked_for_by_the_first_version(
    rackspace: Rackspace, cloud: Cloud
) -> None:
    names = ["one", "two", "three", "four", "five"]
    for name in names:
        await cloud.volumes.create(NewVolume(name=name, size_gib=75, description="of mine"))
    wishes = rackspace.bodies(f"POST /v1/{ACCOUNT}/volumes")
    assert [wish["volume"]["display_name"] for wish in wishes] == names
    found = [volume async for volume in cloud.each(Volumes.page, limit=2)]
    assert sorted(volume.name or "" for volume in found) == sorted(names)
    assert {(volume.size_gib, volume.description) for volume in found} == {(75, "of mine")}
    assert all(volume.attachments == () for volume in found)
    await cloud.volumes.destroy(found[0].id)
    with pytest.raises(NotFound):
        await cloud.volumes.get(found[0].id)


async def test_a_volume_is_made_once_for_a_token(rackspace: Rackspace, cloud: Cloud) -> None:
    new = NewVolume(name="once", size_gib=75, token="a token")
    first, second = await cloud.volumes.create(new), await cloud.volumes.create(new)
    assert first.id == second.id
    assert len(rackspace.volumes) == 1


async def test_snapshots_are_asked_for_by_the_first_version(cloud: Cloud) -> None:
    volume = await cloud.volumes.create(NewVolume(name="source", size_gib=75))
    made = await cloud.snapshots.create(NewSnapshot(volume_id=volume.id, name="kept"))
    assert (made.name, made.volume_id) == ("kept", volume.id)
    assert [each.name async for each in cloud.each(Snapshots.page)] == ["kept"]
