"""Addresses, networks, subnets, interfaces and load balancers."""

import pytest

from nimbi.drivers.mock.addresses import MockAddresses
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.load_balancers import MockLoadBalancers
from nimbi.drivers.mock.network_interfaces import MockNetworkInterfaces
from nimbi.drivers.mock.networks import MockNetworks
from nimbi.drivers.mock.session import Session
from nimbi.drivers.mock.subnets import MockSubnets
from nimbi.model.addresses import NewAddress
from nimbi.model.errors import Conflict, Invalid, NotFound, OutOfCapacity
from nimbi.model.instances import AddressKind, Endpoint
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.networks import NewNetwork, NewNetworkInterface, NewSubnet

WEB = Listener(ListenerProtocol.HTTP, 80, 8080)


async def test_a_new_address_is_the_highest_and_one_more(session: Session) -> None:
    addresses = MockAddresses(session)
    await addresses.destroy("192.168.0.2")
    made = await addresses.create(NewAddress())
    assert (made.id, made.ip, made.instance_id) == ("192.168.0.5", "192.168.0.5", None)


async def test_the_last_number_of_an_address_is_never_0_or_255(session: Session) -> None:
    addresses = MockAddresses(session)
    ips = [(await addresses.create(NewAddress())).ip for _ in range(252)]
    assert ips[-3:] == ["192.168.0.254", "192.168.1.1", "192.168.1.2"]


async def test_an_associated_address_is_that_of_the_instance(session: Session) -> None:
    addresses, instances = MockAddresses(session), MockInstances(session)
    await addresses.associate("192.168.0.1", "inst1")
    assert (await addresses.get("192.168.0.1")).instance_id == "inst1"
    told = (await instances.get("inst1")).public_addresses
    assert told == (Endpoint("192.168.0.1", AddressKind.IPV4),)
    with pytest.raises(Conflict):
        await addresses.associate("192.168.0.1", "inst2")
    with pytest.raises(Conflict):
        await addresses.destroy("192.168.0.1")
    await addresses.disassociate("192.168.0.1")
    told = (await instances.get("inst1")).public_addresses
    assert told == (Endpoint("img1.inst1.public.com", AddressKind.HOSTNAME),)
    with pytest.raises(Conflict):
        await addresses.disassociate("192.168.0.1")


async def test_an_instance_keeps_its_other_address(session: Session) -> None:
    addresses, instances = MockAddresses(session), MockInstances(session)
    for ip in ("192.168.0.1", "192.168.0.2"):
        await addresses.associate(ip, "inst1")
    await addresses.disassociate("192.168.0.1")
    assert (await instances.get("inst1")).public_addresses == (Endpoint("192.168.0.2"),)


async def test_unknown_ends_of_an_address_are_not_found(session: Session) -> None:
    addresses = MockAddresses(session)
    with pytest.raises(NotFound):
        await addresses.associate("192.168.0.1", "none")
    with pytest.raises(NotFound):
        await addresses.associate("10.0.0.1", "inst0")
    for verb in (addresses.get, addresses.disassociate, addresses.destroy):
        with pytest.raises(NotFound):
            await verb("none")


async def test_a_network_is_made_as_asked(session: Session) -> None:
    networks = MockNetworks(session)
    made = await networks.create(NewNetwork(name="back", address_block="172.16.0.0/12"))
    assert (made.id, made.name, made.address_blocks) == ("back", "back", ("172.16.0.0/12",))
    plain = await networks.create(NewNetwork())
    assert (plain.id, plain.address_blocks) == ("net3", ("192.168.0.0/16",))
    six = await networks.create(NewNetwork(address_block="fd00::/48"))
    assert six.address_blocks == ("fd00::/48",)


@pytest.mark.parametrize(
    "block", ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "x/8", "300.0.0.0/8", "/"]
)
async def test_a_block_that_is_none_is_invalid(session: Session, block: str) -> None:
    with pytest.raises(Invalid):
        await MockNetworks(session).create(NewNetwork(address_block=block))
    with pytest.raises(Invalid):
        await MockSubnets(session).create(NewSubnet(network_id="net2", address_block=block))


async def test_a_subnet_lies_inside_its_network_and_beside_the_others(session: Session) -> None:
    subnets = MockSubnets(session)
    made = await subnets.create(NewSubnet(network_id="net2", address_block="10.3.0.0/16"))
    assert (made.id, made.network_id, made.address_block) == ("subnet5", "net2", "10.3.0.0/16")
    assert (await MockNetworks(session).get("net2")).subnet_ids[-1] == "subnet5"
    for block in ("11.0.0.0/16", "10.0.0.0/7", "fd00::/64"):
        with pytest.raises(Invalid):
            await subnets.create(NewSubnet(network_id="net2", address_block=block))
    for block in ("10.1.2.0/24", "10.0.0.0/8"):
        with pytest.raises(Conflict):
            await subnets.create(NewSubnet(network_id="net2", address_block=block))
    with pytest.raises(NotFound):
        await subnets.create(NewSubnet(network_id="none", address_block="10.9.0.0/16"))
    await subnets.destroy("subnet5")
    assert (await MockNetworks(session).get("net2")).subnet_ids == ("subnet3", "subnet4")


async def test_an_interface_takes_the_next_free_address(session: Session) -> None:
    nics, instances = MockNetworkInterfaces(session), MockInstances(session)
    wish = NewNetworkInterface(instance_id="inst0", subnet_id="subnet1")
    one, two = await nics.create(wish), await nics.create(wish)
    assert [nic.ip_address for nic in (one, two)] == ["192.168.1.3", "192.168.1.4"]
    assert (one.network_id, one.subnet_id, one.instance_id) == ("net1", "subnet1", "inst0")
    assert (await instances.get("inst0")).network_interface_ids == (one.id, two.id)
    await nics.destroy(one.id)
    assert (await instances.get("inst0")).network_interface_ids == (two.id,)
    assert (await nics.create(wish)).ip_address == "192.168.1.3"


async def test_an_interface_joins_a_network_without_a_subnet(session: Session) -> None:
    wish = NewNetworkInterface(instance_id="inst0", network_id="net2", name="eth1")
    made = await MockNetworkInterfaces(session).create(wish)
    assert (made.id, made.ip_address, made.subnet_id) == ("eth1", "10.0.0.2", None)


async def test_a_full_subnet_has_no_room(session: Session) -> None:
    nics, subnets = MockNetworkInterfaces(session), MockSubnets(session)
    tiny = await subnets.create(NewSubnet(network_id="net2", address_block="10.9.0.0/30"))
    none = await subnets.create(NewSubnet(network_id="net2", address_block="10.9.1.0/32"))
    await nics.create(NewNetworkInterface(instance_id="inst0", subnet_id=tiny.id))
    for subnet in (tiny, none):
        with pytest.raises(OutOfCapacity):
            await nics.create(NewNetworkInterface(instance_id="inst0", subnet_id=subnet.id))


async def test_an_interface_needs_ends_that_fit(session: Session) -> None:
    nics = MockNetworkInterfaces(session)
    with pytest.raises(Invalid):
        await nics.create(NewNetworkInterface(instance_id="inst0"))
    with pytest.raises(Invalid):
        await nics.create(
            NewNetworkInterface(instance_id="inst0", network_id="net2", subnet_id="subnet1")
        )
    for wish in (
        NewNetworkInterface(instance_id="none", network_id="net1"),
        NewNetworkInterface(instance_id="inst0", network_id="none"),
        NewNetworkInterface(instance_id="inst0", subnet_id="none"),
    ):
        with pytest.raises(NotFound):
            await nics.create(wish)


async def test_networks_and_subnets_in_use_stay(session: Session) -> None:
    networks, subnets = MockNetworks(session), MockSubnets(session)
    with pytest.raises(Conflict):
        await subnets.destroy("subnet1")
    with pytest.raises(Conflict):
        await networks.destroy("net1")
    await networks.destroy("net2")
    for id in ("subnet3", "subnet4"):
        with pytest.raises(NotFound):
            await subnets.get(id)


async def test_a_load_balancer_registers_instances(session: Session) -> None:
    balancers = MockLoadBalancers(session)
    made = await balancers.create(NewLoadBalancer(name="lb", realm_id="eu", listeners=(WEB,)))
    assert (made.id, made.realm_ids, made.listeners, made.instance_ids) == (
        "lb",
        ("eu",),
        (WEB,),
        (),
    )
    for _ in range(2):
        assert (await balancers.register("lb", "inst0")).instance_ids == ("inst0",)
    with pytest.raises(NotFound):
        await balancers.register("lb", "none")
    assert (await balancers.unregister("lb", "inst0")).instance_ids == ()
    with pytest.raises(NotFound):
        await balancers.unregister("lb", "inst0")
    await balancers.destroy("lb")
    with pytest.raises(NotFound):
        await balancers.destroy("lb")


@pytest.mark.parametrize(
    "listeners",
    [
        (),
        (Listener(ListenerProtocol.TCP, 0, 80),),
        (Listener(ListenerProtocol.TCP, 80, 65536),),
        (WEB, WEB),
    ],
)
async def test_listeners_that_cannot_be_are_invalid(
    session: Session, listeners: tuple[Listener, ...]
) -> None:
    with pytest.raises(Invalid):
        await MockLoadBalancers(session).create(
            NewLoadBalancer(name="lb", realm_id="us", listeners=listeners)
        )


async def test_a_load_balancer_has_a_name_and_realm_of_its_own(session: Session) -> None:
    balancers = MockLoadBalancers(session)
    await balancers.create(NewLoadBalancer(name="lb", realm_id=None, listeners=(WEB,)))
    with pytest.raises(Conflict):
        await balancers.create(NewLoadBalancer(name="lb", realm_id=None, listeners=(WEB,)))
    with pytest.raises(Invalid):
        await balancers.create(NewLoadBalancer(name="lb2", realm_id="mars", listeners=(WEB,)))
