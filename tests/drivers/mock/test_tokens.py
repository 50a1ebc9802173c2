"""The same token twice makes one thing."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nimbi.drivers.mock.addresses import MockAddresses
from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.buckets import MockBuckets
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.firewalls import MockFirewalls
from nimbi.drivers.mock.images import MockImages
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.keys import MockKeys
from nimbi.drivers.mock.load_balancers import MockLoadBalancers
from nimbi.drivers.mock.network_interfaces import MockNetworkInterfaces
from nimbi.drivers.mock.networks import MockNetworks
from nimbi.drivers.mock.session import Session
from nimbi.drivers.mock.snapshots import MockSnapshots
from nimbi.drivers.mock.subnets import MockSubnets
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.drivers.mock.world import TOKENS_KEPT
from nimbi.model.addresses import NewAddress
from nimbi.model.buckets import NewBlob, NewBucket
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.firewalls import AddressSource, NewFirewall, NewRule, Protocol
from nimbi.model.images import NewImage
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.networks import NewNetwork, NewNetworkInterface, NewSubnet
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.volumes import NewVolume

Create = Callable[[Session, str], Awaitable[Any]]

LISTENERS = (Listener(ListenerProtocol.HTTP, 80, 80),)
CREATES: dict[str, Create] = {
    "image": lambda s, t: MockImages(s).create(NewImage(instance_id="inst0", token=t)),
    "instance": lambda s, t: MockInstances(s).create(NewInstance(image_id="img1", token=t)),
    "instances": lambda s, t: MockInstances(s).create_many(
        NewInstance(image_id="img1", token=t), 3
    ),
    "key": lambda s, t: MockKeys(s).create(NewKey(name=f"k-{t}", token=t)),
    "firewall": lambda s, t: MockFirewalls(s).create(
        NewFirewall(name=f"f-{t}", description="d", token=t)
    ),
    "address": lambda s, t: MockAddresses(s).create(NewAddress(token=t)),
    "network": lambda s, t: MockNetworks(s).create(NewNetwork(token=t)),
    "subnet": lambda s, t: MockSubnets(s).create(
        NewSubnet(network_id="net2", address_block=f"10.{ord(t)}.0.0/16", token=t)
    ),
    "interface": lambda s, t: MockNetworkInterfaces(s).create(
        NewNetworkInterface(instance_id="inst0", subnet_id="subnet1", token=t)
    ),
    "balancer": lambda s, t: MockLoadBalancers(s).create(
        NewLoadBalancer(name=f"l-{t}", realm_id="us", listeners=LISTENERS, token=t)
    ),
    "volume": lambda s, t: MockVolumes(s).create(NewVolume(token=t)),
    "snapshot": lambda s, t: MockSnapshots(s).create(NewSnapshot(volume_id="vol1", token=t)),
    "bucket": lambda s, t: MockBuckets(s).create(NewBucket(name=f"b-{t}", token=t)),
    "upload": lambda s, t: MockBlobs(s).begin_upload(
        NewBlob(bucket_id="bucket1", id="big", token=t)
    ),
}


@pytest.mark.parametrize("kind", CREATES)
async def test_the_same_token_gives_the_same_thing(session: Session, kind: str) -> None:
    create = CREATES[kind]
    first = await create(session, "a")
    assert await create(session, "a") == first
    assert await create(session, "b") != first


async def test_the_same_token_gives_the_same_private_key(session: Session) -> None:
    first, again = [await CREATES["key"](session, "a") for _ in range(2)]
    assert first.private_key is not None
    assert again.private_key == first.private_key


async def test_the_same_token_makes_one_rule(session: Session) -> None:
    firewalls = MockFirewalls(session)
    for name in ("one", "two"):
        await firewalls.create(NewFirewall(name=name, description="d"))
    rule = NewRule(
        protocol=Protocol.TCP,
        port_from=1,
        port_to=2,
        sources=(AddressSource("0.0.0.0", 0),),
        token="a",
    )
    first = await firewalls.create_rule("one", rule)
    assert await firewalls.create_rule("one", rule) == first
    assert len((await firewalls.create_rule("two", rule)).rules) == 1
    with pytest.raises(Conflict):
        await firewalls.create_rule("one", NewRule(**{f: getattr(rule, f) for f in FIELDS}))


FIELDS = ("protocol", "port_from", "port_to", "sources")


async def test_a_token_is_of_one_operation(session: Session) -> None:
    volume = await CREATES["volume"](session, "a")
    assert (await CREATES["snapshot"](session, "a")).id != volume.id


async def test_what_is_destroyed_does_not_come_back_by_its_token(session: Session) -> None:
    made = await CREATES["volume"](session, "a")
    await MockVolumes(session).destroy(made.id)
    with pytest.raises(NotFound):
        await CREATES["volume"](session, "a")


async def test_tokens_are_forgotten_in_the_end(session: Session, cloud: MockCloud) -> None:
    with cloud.world.change() as state:
        for n in range(TOKENS_KEPT + 5):
            state.remember("volumes.create", f"{n}", "vol1")
        assert len(state.tokens) == TOKENS_KEPT
        assert state.made_with("volumes.create", "4") is None
        assert state.made_with("volumes.create", "5") == ("vol1",)
