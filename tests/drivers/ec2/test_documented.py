"""The driver against what AWS documents and moto does not do: see tests/targets/aws.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.targets.aws import Way, way_to
from tests.targets.census import census, clients, gained
from tests.targets.proxy import lost, refused

from nimbi.driver.compute import Instances
from nimbi.driver.network import Firewalls, Networks, Subnets
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import (
    CloudError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OutOfCapacity,
    QuotaExceeded,
    Unauthorized,
    Unsupported,
)
from nimbi.model.firewalls import AddressSource, NewFirewall, NewRule, Protocol
from nimbi.model.instances import NewInstance
from nimbi.model.networks import NewNetwork, NewSubnet
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume, VolumeTarget

ZONE = f"{REGION}a"
INSTANCE = NewInstance(
    image_id="ami-a1000000a00000000", hardware_profile_id="t3.micro", realm_id=ZONE
)
VOLUME = NewVolume(size_gib=1, realm_id=ZONE)
ANYWHERE = NewRule(
    protocol=Protocol.TCP, port_from=22, port_to=22, sources=(AddressSource("10.0.0.0", 8),)
)
# The first three requests that name a new thing do not know it.
LATE = 3


@pytest.fixture
async def way(moto: str) -> AsyncIterator[Way]:
    async with way_to(moto) as way:
        yield way


@pytest.fixture
async def cloud(tmp_path: Path, way: Way) -> AsyncIterator[Cloud]:
    settings = {"endpoint_url": way.url, "calls": {"backoff_s": 0.001}}
    async with opened(
        DRIVER, tmp_path, credentials=LOGIN, provider=REGION, settings=settings
    ) as cloud:
        yield cloud


@pytest.fixture
def held(moto: str) -> Mapping[str, Any]:
    return clients(moto, REGION)


# Tokens


async def test_a_client_token_makes_one_instance_of_many_wishes(
    cloud: Cloud, held: Mapping[str, Any]
) -> None:
    before = census(held, with_snapshots=False)
    wish = replace(INSTANCE, token="one wish")
    made = await asyncio.gather(*(cloud.call(Instances.create, wish) for _ in range(5)))
    assert len({instance.id for instance in made}) == 1
    assert gained(before, census(held, with_snapshots=False))["instances"] == 1


async def test_two_programs_with_one_token_make_one_instance(
    cloud: Cloud, way: Way, held: Mapping[str, Any], tmp_path: Path
) -> None:
    before = census(held, with_snapshots=False)
    wish = replace(INSTANCE, token="one wish")
    settings = {"endpoint_url": way.url}
    async with opened(
        DRIVER, tmp_path / "other", credentials=LOGIN, provider=REGION, settings=settings
    ) as other:
        made = [await each.call(Instances.create, wish) for each in (cloud, other)]
    assert made[0].id == made[1].id
    assert gained(before, census(held, with_snapshots=False))["instances"] == 1


async def test_a_token_for_another_wish_makes_nothing(
    cloud: Cloud, held: Mapping[str, Any]
) -> None:
    wish = replace(INSTANCE, token="one wish")
    made = await cloud.call(Instances.create, wish)
    before = census(held, with_snapshots=False)
    other = await cloud.call(Instances.create, replace(wish, hardware_profile_id="t3.small"))
    assert other.id == made.id
    assert gained(before, census(held, with_snapshots=False)) == {}


async def test_aws_refuses_a_token_that_another_program_used_for_another_wish(
    cloud: Cloud, way: Way, held: Mapping[str, Any], tmp_path: Path
) -> None:
    wish = replace(INSTANCE, token="one wish")
    await cloud.call(Instances.create, wish)
    before = census(held, with_snapshots=False)
    async with opened(
        DRIVER,
        tmp_path / "other",
        credentials=LOGIN,
        provider=REGION,
        settings={"endpoint_url": way.url},
    ) as other:
        with pytest.raises(Conflict):
            await other.call(Instances.create, replace(wish, hardware_profile_id="t3.small"))
    assert gained(before, census(held, with_snapshots=False)) == {}


async def test_a_lost_reply_is_looked_up_by_the_client_token(cloud: Cloud, way: Way) -> None:
    way.proxy.spoil("RunInstances", lost, calls=2)
    made = await cloud.call(Instances.create, INSTANCE)
    tokens = {a.form["ClientToken"] for a in way.proxy.asked if a.action == "RunInstances"}
    assert len(tokens) == 1
    assert way.aws.created == [made.id]


# Eventual consistency


async def instance_found(cloud: Cloud) -> None:
    made = await cloud.call(Instances.create, INSTANCE)
    assert (await cloud.call(Instances.get, made.id)).id == made.id


async def instance_destroyed(cloud: Cloud) -> None:
    made = await cloud.call(Instances.create, INSTANCE)
    await cloud.call(Instances.destroy, made.id)


async def instance_stopped(cloud: Cloud) -> None:
    made = await cloud.call(Instances.create, INSTANCE)
    await cloud.call(Instances.stop, made.id)


async def volume_attached(cloud: Cloud) -> None:
    instance = await cloud.call(Instances.create, INSTANCE)
    volume = await cloud.call(Volumes.create, VOLUME)
    target = VolumeTarget(instance_id=instance.id, device="/dev/sdf")
    assert (await cloud.call(Volumes.attach, volume.id, target)).instance_id == instance.id


async def volume_destroyed(cloud: Cloud) -> None:
    made = await cloud.call(Volumes.create, VOLUME)
    await cloud.call(Volumes.destroy, made.id)


async def snapshot_made_and_destroyed(cloud: Cloud) -> None:
    volume = await cloud.call(Volumes.create, VOLUME)
    snapshot = await cloud.call(Snapshots.create, NewSnapshot(volume_id=volume.id))
    await cloud.call(Snapshots.destroy, snapshot.id)


async def firewall_opened(cloud: Cloud) -> None:
    made = await cloud.call(Firewalls.create, NewFirewall(name="web", description="a test"))
    assert (await cloud.call(Firewalls.create_rule, made.id, ANYWHERE)).rules


async def instance_behind_a_new_firewall(cloud: Cloud) -> None:
    made = await cloud.call(Firewalls.create, NewFirewall(name="web", description="a test"))
    instance = await cloud.call(Instances.create, replace(INSTANCE, firewall_ids=(made.id,)))
    assert instance.firewall_ids == (made.id,)


async def firewall_destroyed(cloud: Cloud) -> None:
    made = await cloud.call(Firewalls.create, NewFirewall(name="web", description="a test"))
    await cloud.call(Firewalls.destroy, made.id)


async def subnet_made_and_destroyed(cloud: Cloud) -> None:
    network = await cloud.call(Networks.create, NewNetwork(address_block="10.77.0.0/16"))
    wish = NewSubnet(network_id=network.id, address_block="10.77.1.0/24")
    subnet = await cloud.call(Subnets.create, wish)
    await cloud.call(Subnets.destroy, subnet.id)


async def network_destroyed(cloud: Cloud) -> None:
    network = await cloud.call(Networks.create, NewNetwork(address_block="10.77.0.0/16"))
    await cloud.call(Networks.destroy, network.id)


AT_ONCE: tuple[Callable[[Cloud], Awaitable[None]], ...] = (
    instance_found,
    instance_destroyed,
    instance_stopped,
    instance_behind_a_new_firewall,
    volume_attached,
    volume_destroyed,
    snapshot_made_and_destroyed,
    firewall_opened,
    firewall_destroyed,
    subnet_made_and_destroyed,
    network_destroyed,
)


@pytest.mark.parametrize("use", AT_ONCE, ids=lambda use: use.__name__)
async def test_what_was_just_made_can_be_used_at_once(
    cloud: Cloud, way: Way, use: Callable[[Cloud], Awaitable[None]]
) -> None:
    way.aws.late = LATE
    await use(cloud)
    assert way.aws.created


async def test_what_was_never_made_is_not_found_at_once(cloud: Cloud, way: Way) -> None:
    with pytest.raises(NotFound):
        await cloud.call(Instances.get, "i-0123456789abcdef0")
    assert way.proxy.seen.count("DescribeInstances") == 1


# Refusals. Codes and statuses are those of the reference pages.

REFUSALS: Mapping[str, tuple[int, type[CloudError]]] = {
    "InsufficientInstanceCapacity": (500, OutOfCapacity),
    "InsufficientHostCapacity": (500, OutOfCapacity),
    "VcpuLimitExceeded": (400, QuotaExceeded),
    "InstanceLimitExceeded": (400, QuotaExceeded),
    "MaxSpotInstanceCountExceeded": (400, QuotaExceeded),
    "UnauthorizedOperation": (403, Forbidden),
    "OptInRequired": (403, Forbidden),
    "PendingVerification": (400, Forbidden),
    "AuthFailure": (401, Unauthorized),
    "ExpiredToken": (400, Unauthorized),
    "InvalidParameterValue": (400, Invalid),
    "InvalidParameterCombination": (400, Invalid),
    "Unsupported": (400, Unsupported),
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_is_told_and_nothing_is_made(
    cloud: Cloud, way: Way, held: Mapping[str, Any], code: str
) -> None:
    before = census(held, with_snapshots=False)
    status, error = REFUSALS[code]
    way.proxy.spoil("RunInstances", refused(status, code), calls=None)
    with pytest.raises(error) as told:
        await cloud.call(Instances.create, INSTANCE)
    assert type(told.value) is error
    assert gained(before, census(held, with_snapshots=False)) == {}


@pytest.mark.parametrize("code", ["InsufficientInstanceCapacity", "VcpuLimitExceeded"])
async def test_what_waiting_does_not_help_is_asked_once(cloud: Cloud, way: Way, code: str) -> None:
    way.proxy.spoil("RunInstances", refused(REFUSALS[code][0], code), calls=None)
    with pytest.raises(REFUSALS[code][1]):
        await cloud.call(Instances.create, INSTANCE)
    assert way.proxy.seen.count("RunInstances") == 1


# Pages


@pytest.mark.parametrize("empty_pages", [False, True])
@pytest.mark.parametrize("page_size", [1, 2, 3])
@pytest.mark.parametrize("limit", [1, 4, 1000])
async def test_pages_of_any_size_give_the_whole_list(
    cloud: Cloud, way: Way, page_size: int, limit: int, empty_pages: bool
) -> None:
    made = {(await cloud.call(Volumes.create, VOLUME)).id for _ in range(7)}
    way.aws.page_size, way.aws.empty_pages = page_size, empty_pages
    listed = [volume.id async for volume in cloud.each(Volumes.page, limit=limit)]
    assert len(listed) == 7
    assert set(listed) == made


async def test_short_pages_hide_nothing_that_is_looked_up_within(cloud: Cloud, way: Way) -> None:
    network = await cloud.call(Networks.create, NewNetwork(address_block="10.77.0.0/16"))
    for third in range(5):
        block = f"10.77.{third}.0/24"
        await cloud.call(Subnets.create, NewSubnet(network_id=network.id, address_block=block))
    way.aws.page_size, way.aws.empty_pages = 1, True
    assert len((await cloud.call(Networks.get, network.id)).subnet_ids) == 5
