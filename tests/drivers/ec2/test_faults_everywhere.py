"""Every request of every create and destroy meets every fault: nothing lost, doubled or leaked.

What there is in the end is counted by boto3 at moto itself.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.targets import proxy as faults
from tests.targets.aws import Way, way_to
from tests.targets.census import Census, census, clients, gained
from tests.targets.proxy import Spoiler, refused

from nimbi.driver.blobs import Buckets
from nimbi.driver.compute import Images, Instances, Keys
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    LoadBalancers,
    NetworkInterfaces,
    Networks,
    Subnets,
)
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.drivertest.moves import rested
from nimbi.drivertest.samples import PUBLIC_KEY
from nimbi.gateway.cloud import Cloud
from nimbi.model.addresses import NewAddress
from nimbi.model.buckets import NewBucket
from nimbi.model.errors import CloudError, CloudUnavailable, UnknownOutcome
from nimbi.model.firewalls import AddressSource, NewFirewall, NewRule, Protocol
from nimbi.model.images import NewImage
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.networks import NewNetwork, NewNetworkInterface, NewSubnet
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume

ZONE = f"{REGION}a"
# Told, since moto is slow to list what there is; the image is one of amis.json.
IMAGE, PROFILE = "ami-a1000000a00000000", "t3.micro"
Call = Callable[[], Awaitable[Any]]
LogIn = Callable[[], AbstractAsyncContextManager[Cloud]]

# Each passes: the second attempt meets none.
FAULTS: dict[str, Spoiler] = {
    "throttled": refused(503, "RequestLimitExceeded"),
    "500 after it was done": faults.failed_after,
    "reset before it was done": faults.reset_unread,
    "lost reply": faults.lost,
    "reset in mid-answer": faults.cut_in_body,
    "truncated": faults.truncated,
}
MORE_FAULTS: dict[str, Spoiler] = {
    "throttled for a moment": refused(400, "Throttling", "0.001"),
    "429 without a time": refused(429, "TooManyRequestsException"),
    "429 for no time": refused(429, "TooManyRequestsException", "0"),
    "429 until a day that is over": refused(429, "Throttling", "Wed, 21 Oct 2015 07:28:00 GMT"),
    "500": refused(500, "InternalError"),
    "503": refused(503, "ServiceUnavailable"),
    "503 in HTML": faults.refused_in_html,
    "reset in the head": faults.cut_in_head,
    "byte by byte": faults.dribbled,
}


def token() -> str:
    return uuid.uuid4().hex


async def instance_id(cloud: Cloud) -> str:
    wish = NewInstance(image_id=IMAGE, hardware_profile_id=PROFILE, realm_id=ZONE)
    return (await rested(cloud, (await cloud.call(Instances.create, wish)).id, 20.0)).id


async def network_id(cloud: Cloud) -> str:
    return (await cloud.call(Networks.create, NewNetwork(address_block="10.77.0.0/16"))).id


async def subnet_id(cloud: Cloud) -> str:
    wish = NewSubnet(network_id=await network_id(cloud), address_block="10.77.1.0/24")
    return (await cloud.call(Subnets.create, wish)).id


async def volumes(cloud: Cloud) -> Call:
    wish = NewVolume(size_gib=1, realm_id=ZONE, token=token())
    return lambda: cloud.call(Volumes.create, wish)


async def snapshots(cloud: Cloud) -> Call:
    volume = await cloud.call(Volumes.create, NewVolume(size_gib=1, realm_id=ZONE))
    wish = NewSnapshot(volume_id=volume.id, token=token())
    return lambda: cloud.call(Snapshots.create, wish)


async def instances(cloud: Cloud) -> Call:
    wish = NewInstance(image_id=IMAGE, hardware_profile_id=PROFILE, realm_id=ZONE, token=token())
    return lambda: cloud.call(Instances.create, wish)


async def many_instances(cloud: Cloud) -> Call:
    wish = NewInstance(image_id=IMAGE, hardware_profile_id=PROFILE, realm_id=ZONE, token=token())
    return lambda: cloud.call(Instances.create_many, wish, 3)


async def images(cloud: Cloud) -> Call:
    wish = NewImage(instance_id=await instance_id(cloud), token=token())
    return lambda: cloud.call(Images.create, wish)


async def image_copies(cloud: Cloud) -> Call:
    own = await cloud.call(Images.create, NewImage(instance_id=await instance_id(cloud)))
    wish = NewImage(source_image_id=own.id, token=token())
    return lambda: cloud.call(Images.create, wish)


async def keys(cloud: Cloud) -> Call:
    wish = NewKey(name=token(), token=token())
    return lambda: cloud.call(Keys.create, wish)


async def imported_keys(cloud: Cloud) -> Call:
    wish = NewKey(name=token(), public_key=PUBLIC_KEY, token=token())
    return lambda: cloud.call(Keys.create, wish)


async def firewalls(cloud: Cloud) -> Call:
    wish = NewFirewall(name=token(), description="of a test", token=token())
    return lambda: cloud.call(Firewalls.create, wish)


async def rules(cloud: Cloud) -> Call:
    firewall = await cloud.call(Firewalls.create, NewFirewall(name=token(), description="a test"))
    wish = NewRule(
        protocol=Protocol.TCP,
        port_from=22,
        port_to=22,
        sources=(AddressSource("10.0.0.0", 8),),
        token=token(),
    )
    return lambda: cloud.call(Firewalls.create_rule, firewall.id, wish)


async def addresses(cloud: Cloud) -> Call:
    wish = NewAddress(token=token())
    return lambda: cloud.call(Addresses.create, wish)


async def networks(cloud: Cloud) -> Call:
    wish = NewNetwork(address_block="10.77.0.0/16", name="of a test", token=token())
    return lambda: cloud.call(Networks.create, wish)


async def subnets(cloud: Cloud) -> Call:
    network = await network_id(cloud)
    wish = NewSubnet(network_id=network, address_block="10.77.1.0/24", token=token())
    return lambda: cloud.call(Subnets.create, wish)


async def network_interfaces(cloud: Cloud) -> Call:
    instance = await cloud.call(Instances.get, await instance_id(cloud))
    subnet = instance.subnet_id
    wish = NewNetworkInterface(instance_id=instance.id, subnet_id=subnet, token=token())
    return lambda: cloud.call(NetworkInterfaces.create, wish)


async def load_balancers(cloud: Cloud) -> Call:
    listeners = (Listener(ListenerProtocol.TCP, 80, 8080),)
    wish = NewLoadBalancer(name=token()[:20], realm_id=ZONE, listeners=listeners, token=token())
    return lambda: cloud.call(LoadBalancers.create, wish)


async def buckets(cloud: Cloud) -> Call:
    wish = NewBucket(name=f"nimbi-{token()}", token=token())
    return lambda: cloud.call(Buckets.create, wish)


# Makes what a thing needs, and returns the call that makes the thing, which may be made again.
MAKING: Mapping[str, Callable[[Cloud], Awaitable[Call]]] = {
    "volumes": volumes,
    "snapshots": snapshots,
    "instances": instances,
    "many instances": many_instances,
    "images": images,
    "image copies": image_copies,
    "keys": keys,
    "imported keys": imported_keys,
    "firewalls": firewalls,
    "rules": rules,
    "addresses": addresses,
    "networks": networks,
    "subnets": subnets,
    "network interfaces": network_interfaces,
    "load balancers": load_balancers,
    "buckets": buckets,
}


DESTROYING: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "volumes": Volumes.destroy,
    "snapshots": Snapshots.destroy,
    "instances": Instances.destroy,
    "images": Images.destroy,
    "keys": Keys.destroy,
    "firewalls": Firewalls.destroy,
    "addresses": Addresses.destroy,
    "networks": Networks.destroy,
    "subnets": Subnets.destroy,
    "network interfaces": NetworkInterfaces.destroy,
    "load balancers": LoadBalancers.destroy,
    "buckets": Buckets.destroy,
}


# moto keeps the first card of a dead instance, and does not hear of DeleteAssociatedSnapshots.
LEFT_BY_MOTO = {"instances": "network_interfaces", "images": "snapshots"}


@pytest.fixture
async def way(moto: str) -> AsyncIterator[Way]:
    async with way_to(moto) as way:
        yield way


@pytest.fixture
def login(tmp_path: Path, way: Way) -> LogIn:
    """What logs in anew, so that no call waits because one before was throttled."""
    settings = {"endpoint_url": way.url, "calls": {"backoff_s": 0.001}}
    return lambda: opened(DRIVER, tmp_path, credentials=LOGIN, provider=REGION, settings=settings)


@pytest.fixture
async def cloud(login: LogIn) -> AsyncIterator[Cloud]:
    async with login() as cloud:
        yield cloud


@pytest.fixture
def held(moto: str) -> Mapping[str, Any]:
    """What counts the things that AWS holds."""
    return clients(moto, REGION)


async def spoiled(way: Way, at: int, fault: str, call: Call) -> Any:
    """Return what a call returns whose request at a place meets a fault."""
    way.proxy.spoil("*", FAULTS[fault], passing=at)
    try:
        return await call()
    except CloudError as error:
        raise AssertionError(f"request {at + 1}, {fault}: {error!r}") from error
    finally:
        way.proxy.mend()


def runs(requests: Iterable[str]) -> list[tuple[int, str]]:
    """Return each request, by its place, with each fault that it may meet."""
    return [(at, fault) for at, _ in enumerate(requests) for fault in FAULTS]


def count(held: Mapping[str, Any], kind: str) -> Census:
    return census(held, with_snapshots=kind in ("snapshots", "images", "image copies"))


def without_what_moto_leaves(held: Census, kind: str) -> Census:
    return {name: ids for name, ids in held.items() if name != LEFT_BY_MOTO.get(kind)}


def times(counts: Mapping[str, int], factor: int) -> dict[str, int]:
    return {kind: factor * count for kind, count in counts.items()}


@pytest.mark.parametrize("kind", MAKING)
async def test_a_create_that_meets_a_fault_makes_what_one_without_makes(
    login: LogIn, way: Way, held: Mapping[str, Any], kind: str
) -> None:
    async with login() as cloud:
        empty = count(held, kind)
        make = await MAKING[kind](cloud)
        way.proxy.asked.clear()
        await make()
        every = runs(way.proxy.seen)
    before = count(held, kind)
    once = gained(empty, before)
    for at, fault in every:
        async with login() as cloud:
            make = await MAKING[kind](cloud)
            await spoiled(way, at, fault, make)
    assert gained(before, count(held, kind)) == times(once, len(every))


@pytest.mark.parametrize("kind", DESTROYING)
async def test_a_destroy_that_meets_a_fault_leaves_nothing(
    login: LogIn, way: Way, held: Mapping[str, Any], kind: str
) -> None:
    def look() -> Census:
        return without_what_moto_leaves(count(held, kind), kind)

    empty = look()
    async with login() as cloud:
        make = await MAKING[kind](cloud)
        before = look()
        made = await make()
        way.proxy.asked.clear()
        await cloud.call(DESTROYING[kind], made.id)
        every = runs(way.proxy.seen)
    assert look() == before
    for at, fault in every:
        async with login() as cloud:
            made = await (await MAKING[kind](cloud))()
            destroy = partial(cloud.call, DESTROYING[kind], made.id)
            await spoiled(way, at, fault, destroy)
    assert gained(before, look()) == times(gained(empty, before), len(every))


@pytest.mark.parametrize("kind", MAKING)
async def test_a_create_that_is_given_up_is_made_once_when_it_is_asked_for_again(
    cloud: Cloud, way: Way, held: Mapping[str, Any], kind: str
) -> None:
    empty = count(held, kind)
    await (await MAKING[kind](cloud))()
    before = count(held, kind)
    make = await MAKING[kind](cloud)
    way.proxy.spoil("[!DGL]*", faults.lost, calls=None)  # all but Describe…, Get…, List…
    # What can be looked up is found although no answer ever came.
    with suppress(UnknownOutcome, CloudUnavailable):
        await make()
    way.proxy.mend()
    await make()
    assert gained(before, count(held, kind)) == gained(empty, before)


@pytest.mark.parametrize("fault", MORE_FAULTS)
async def test_a_volume_is_made_once_whatever_happens(
    cloud: Cloud, way: Way, held: Mapping[str, Any], fault: str
) -> None:
    before = count(held, "volumes")
    make = await volumes(cloud)
    way.proxy.spoil("CreateVolume", MORE_FAULTS[fault])
    await make()
    assert gained(before, count(held, "volumes")) == {"volumes": 1}


@pytest.mark.parametrize("fault", FAULTS | MORE_FAULTS)
async def test_a_list_that_meets_a_fault_is_whole(cloud: Cloud, way: Way, fault: str) -> None:
    made = [(await (await volumes(cloud))()).id for _ in range(7)]
    way.aws.page_size = 3
    for at in range(3):
        way.proxy.spoil("*", (FAULTS | MORE_FAULTS)[fault], passing=2 * at)
    listed = [volume.id async for volume in cloud.each(Volumes.page, limit=5)]
    assert sorted(listed) == sorted(made)
