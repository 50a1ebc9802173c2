"""Two tenants of one cloud: neither sees, reads or destroys what is the other's."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.openstack.conftest import login
from tests.targets.openstack.projects import Project

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.compute import Images, Instances, Keys
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    NetworkInterfaces,
    Networks,
    Routers,
    Subnets,
)
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivers.openstack import DRIVER
from nimbi.drivertest import opened
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.streams import read, write
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.addresses import NewAddress
from nimbi.model.buckets import NewBucket
from nimbi.model.errors import CloudError, Forbidden, NotFound
from nimbi.model.firewalls import NewFirewall
from nimbi.model.images import NewImage
from nimbi.model.keys import NewKey
from nimbi.model.networks import NewNetwork, NewNetworkInterface, NewSubnet
from nimbi.model.routers import NewRouter
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume, VolumeState

PATIENCE_S = 240.0
Make = Callable[[Made, Cloud], Awaitable[str]]


async def _network(made: Made, _cloud: Cloud) -> str:
    return (await made.create(Networks, NewNetwork(name=fresh_name()))).id


async def _subnet(made: Made, cloud: Cloud) -> str:
    wish = NewSubnet(network_id=await _network(made, cloud), address_block="10.77.1.0/24")
    return (await made.create(Subnets, wish)).id


async def _interface(made: Made, cloud: Cloud) -> str:
    wish = NewNetworkInterface(subnet_id=await _subnet(made, cloud), unattached=True)
    return (await made.create(NetworkInterfaces, wish)).id


async def _router(made: Made, _cloud: Cloud) -> str:
    return (await made.create(Routers, NewRouter(name=fresh_name()))).id


async def _firewall(made: Made, _cloud: Cloud) -> str:
    return (await made.create(Firewalls, NewFirewall(name=fresh_name(), description="a test"))).id


async def _address(made: Made, _cloud: Cloud) -> str:
    return (await made.create(Addresses, NewAddress())).id


async def _key(made: Made, _cloud: Cloud) -> str:
    return (await made.create(Keys, NewKey(name=fresh_name()))).id


async def _volume(made: Made, cloud: Cloud) -> str:
    volume = await made.create(Volumes, NewVolume(size_gib=1))
    until = {VolumeState.AVAILABLE}
    await cloud.wait(Volumes.get, volume.id, until=until, timeout_s=PATIENCE_S)
    return volume.id


async def _snapshot(made: Made, cloud: Cloud) -> str:
    return (await made.create(Snapshots, NewSnapshot(volume_id=await _volume(made, cloud)))).id


async def _bucket(made: Made, _cloud: Cloud) -> str:
    return (await made.create(Buckets, NewBucket(name=fresh_name()))).id


MAKERS: Mapping[type[Collection], Make] = {
    Networks: _network,
    Subnets: _subnet,
    NetworkInterfaces: _interface,
    Routers: _router,
    Firewalls: _firewall,
    Addresses: _address,
    Keys: _key,
    Volumes: _volume,
    Snapshots: _snapshot,
    Buckets: _bucket,
}


@pytest.fixture
async def stranger(other_project: Project, keystone: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give a login of somebody else."""
    async with opened(
        DRIVER, tmp_path / "other", credentials=login(other_project), provider=keystone
    ) as cloud:
        yield cloud


@pytest.fixture
async def made(cloud: Cloud) -> AsyncIterator[Made]:
    made = Made(cloud, PATIENCE_S)
    try:
        yield made
    finally:
        await made.clear()


async def assert_unseen(stranger: Cloud, interface: type[Collection], id: str) -> None:
    page: Any = interface.page  # type: ignore[attr-defined]
    assert id not in {thing.id async for thing in stranger.each(page)}
    for verb in ("get", "destroy"):
        with pytest.raises((NotFound, Forbidden)):
            await stranger.call(getattr(interface, verb), id)


@pytest.mark.parametrize("interface", MAKERS, ids=lambda interface: interface.name)
async def test_what_is_ones_own_is_no_business_of_others(
    cloud: Cloud, stranger: Cloud, made: Made, interface: type[Collection]
) -> None:
    id = await MAKERS[interface](made, cloud)
    await assert_unseen(stranger, interface, id)
    assert (await cloud.call(getattr(interface, "get"), id)).id == id  # noqa: B009


async def test_an_instance_is_no_business_of_others(
    cloud: Cloud, stranger: Cloud, guest_id: str
) -> None:
    await assert_unseen(stranger, Instances, guest_id)
    for operation in (Instances.stop, Instances.start, Instances.reboot, Instances.console):
        # To some of these Nova says that it is forbidden, and so that there is one.
        with pytest.raises((NotFound, Forbidden)):
            await stranger.call(operation, guest_id)
    with pytest.raises(NotFound):
        await stranger.call(Images.create, NewImage(instance_id=guest_id, name=fresh_name()))
    assert (await cloud.instances.get(guest_id)).id == guest_id


async def test_blobs_are_no_business_of_others(cloud: Cloud, stranger: Cloud, made: Made) -> None:
    bucket_id = await _bucket(made, cloud)
    await write(cloud, bucket_id, "a blob", b"content")
    for call in (
        lambda: stranger.call(Blobs.get, bucket_id, "a blob"),
        lambda: stranger.call(Blobs.page, bucket_id, None, 10),
        lambda: stranger.call(Blobs.destroy, bucket_id, "a blob"),
        lambda: write(stranger, bucket_id, "another", b"content"),
    ):
        with pytest.raises((NotFound, Forbidden)):
            await call()
    assert await read(cloud, bucket_id, "a blob") == b"content"


async def test_another_project_is_not_had_by_naming_it(
    project: Project, other_project: Project, keystone: str, tmp_path: Path
) -> None:
    mine = login(project)
    asked = type(mine)(f"{project.user}+{other_project.name}", project.password)
    with pytest.raises(CloudError) as refused:
        async with opened(DRIVER, tmp_path, credentials=asked, provider=keystone) as cloud:
            await cloud.verify()
    assert refused.value.code == "unauthorized"
