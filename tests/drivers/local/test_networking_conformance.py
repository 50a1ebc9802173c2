"""Networks, firewalls, addresses and load balancers against the conformance suite, by rung."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.machines import apart, stock

from nimbi.driver.compute import Images, Instances
from nimbi.driver.interface import Place
from nimbi.drivers.local import DRIVER
from nimbi.drivers.local.login import own_login
from nimbi.drivertest import (
    ConformsToAddresses,
    ConformsToFirewalls,
    ConformsToLoadBalancers,
    ConformsToNetworkInterfaces,
    ConformsToNetworks,
    ConformsToSubnets,
    opened,
)
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import Wish
from nimbi.drivertest.instance_features import ConformsToInstanceFeatures
from nimbi.drivertest.moves import rested
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.networks import NewNetwork
from nimbi.qemu.network.addresses import anybody_can_bind
from nimbi.qemu.network.rungs import Rung, refusal_of

pytestmark = pytest.mark.guest

BOOT_S = 120


@pytest.fixture(scope="module", params=[Rung.USER, Rung.USERNS, Rung.ROOT])
def rung(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rung:
    found: Rung = request.param
    if reason := apart(refusal_of(tmp_path_factory.mktemp("probe"), found)):
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def place(rung: Rung, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a state directory for one rung, which has the image; nothing of it runs at the end."""
    state_dir = tmp_path_factory.mktemp(f"state-{rung}")
    stock(state_dir / "local", built)
    yield state_dir
    apart(clear(state_dir, rung))


def open_cloud(state_dir: Path, rung: Rung):
    login = own_login(None, Place(state_dir / "local"))
    # Pools of its own: other tests run on this machine at the same time.
    pid = os.getpid()
    pools = [f"127.{base + pid % 50}.{pid // 50 % 256}.0/24" for base in (90, 150)]
    settings = {"network": rung.value, "addresses": pools[0], "balancer_addresses": pools[1]}
    return opened(DRIVER, state_dir, credentials=login, settings=settings)


async def clear(state_dir: Path, rung: Rung) -> None:
    async with open_cloud(state_dir, rung) as cloud:
        async for instance in cloud.each(Instances.page):
            await cloud.instances.destroy(instance.id)


@pytest.fixture
async def cloud(place: Path, rung: Rung) -> AsyncIterator[Cloud]:
    async with open_cloud(place, rung) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def booted(place: Path, rung: Rung) -> tuple[str, str]:
    """Boot two guests once, for all tests that destroy none: a boot is dear."""

    async def boot() -> tuple[str, str]:
        async with open_cloud(place, rung) as cloud:
            image = await anext(cloud.each(Images.page))
            wish = NewInstance(image_id=image.id)
            one, other = [await cloud.instances.create(wish) for _ in range(2)]
            for new in (one, other):
                await rested(cloud, new.id, BOOT_S)
            return one.id, other.id

    return apart(boot())


class WithGuests:
    """Guests that are shared by all tests of a rung."""

    crowd = 2

    @pytest.fixture
    async def instance(self, cloud: Cloud, booted: tuple[str, str]) -> Instance:
        return await cloud.instances.get(booted[0])

    @pytest.fixture
    async def other_instance(self, cloud: Cloud, booted: tuple[str, str]) -> Instance:
        return await cloud.instances.get(booted[1])

    @pytest.fixture
    async def doomed_instance(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> Instance:
        new: Instance = await made.create(Instances, new_instance)
        return new


class TestNetworks(WithGuests, ConformsToNetworks):
    @pytest.fixture
    async def wish(self) -> Wish:
        """Networks beside each other: one machine routes them all."""
        numbers = itertools.count(90)
        return lambda: NewNetwork(name=fresh_name(), address_block=f"10.{next(numbers)}.0.0/16")


class TestSubnets(WithGuests, ConformsToSubnets):
    pass


class TestNetworkInterfaces(WithGuests, ConformsToNetworkInterfaces):
    pass


class TestFirewalls(WithGuests, ConformsToFirewalls):
    pass


class TestAddresses(WithGuests, ConformsToAddresses):
    pass


class TestLoadBalancers(WithGuests, ConformsToLoadBalancers):
    async def test_listeners_are_kept(
        self, cloud: Cloud, made: Made, wish: Wish, rung: Rung
    ) -> None:
        """The suite listens at port 80, which the rung `userns` leaves to root."""
        if rung is Rung.USERNS and not anybody_can_bind(80):
            pytest.skip("nobody may listen at port 80 in a user namespace")
        await super().test_listeners_are_kept(cloud, made, wish)

    @pytest.fixture
    async def wish(self) -> Wish:
        """Balance a port that guests publish, at one that everybody may listen at."""
        listener = Listener(ListenerProtocol.HTTP, 8080, 80)
        return lambda: NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(listener,))


class TestInstanceFeatures(WithGuests, ConformsToInstanceFeatures):
    interface = Instances


async def test_what_the_rung_lacks_is_missing_by_name(cloud: Cloud, rung: Rung) -> None:
    lacking = {id.partition(".")[0] for id in own_operations() - cloud.operations}
    networks = {"firewalls", "networks", "subnets", "network_interfaces"}
    assert lacking & networks == (networks if rung is Rung.USER else set())


def own_operations() -> frozenset[str]:
    from nimbi.driver.capabilities import supported

    return supported(DRIVER)


async def test_a_balancer_publishes_what_its_members_need_on_every_rung(
    cloud: Cloud, booted: tuple[str, str], rung: Rung
) -> None:
    """A port that no guest publishes by itself is published for those that are made for it."""
    listener = Listener(ListenerProtocol.TCP, 9000, 9000)
    wish = NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(listener,))
    balancer = await cloud.load_balancers.create(wish)
    instance = await cloud.instances.get(booted[0])
    image_id = instance.image_id
    assert image_id
    new = await cloud.instances.create(NewInstance(image_id=image_id, load_balancer_id=balancer.id))
    try:
        told = await cloud.load_balancers.get(balancer.id)
        assert told.instance_ids == (new.id,)
        ports = (await cloud.instances.get(new.id)).extra["ports"]
        assert ("9000" in ports) == (rung is Rung.USER)
    finally:
        await cloud.instances.destroy(new.id)
        await cloud.load_balancers.destroy(balancer.id)
    assert replace(told, instance_ids=()).listeners == (listener,)
