"""Addresses: where they come from, and the way through one to a guest."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.openstack.canned import logged_in, standing_in
from tests.drivers.openstack.neutron import StandIn, refusal
from tests.targets.exchange import Asked, Reply
from tests.targets.openstack.projects import Project

from nimbi.driver.compute import Instances
from nimbi.driver.network import Addresses, Firewalls
from nimbi.drivertest.moves import comes_true, rested
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.addresses import Address, NewAddress
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.firewalls import AddressSource, NewFirewall, NewRule, Protocol
from nimbi.model.instances import NewInstance

ANYWHERE = AddressSource("0.0.0.0", 0)
SSH = NewRule(protocol=Protocol.TCP, port_from=22, port_to=22, sources=(ANYWHERE,))
PATIENCE_S = 240.0


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    async with standing_in(StandIn()) as stand_in:
        yield stand_in


@pytest.fixture
async def canned(stand_in: StandIn, tmp_path: Path) -> AsyncIterator[Cloud]:
    async with logged_in(stand_in, tmp_path) as cloud:
        yield cloud


def outside(stand_in: StandIn, name: str, *, is_default: bool = False) -> str:
    """Add a network that leads outside; return its id."""
    told = {"name": name, "router:external": True, "is_default": is_default}
    return str(stand_in.add("networks", told)["id"])


async def from_where(cloud: Cloud) -> Any:
    return (await cloud.call(Addresses.create, NewAddress())).extra["floating_network_id"]


async def test_an_address_is_from_the_default_network(canned: Cloud, stand_in: StandIn) -> None:
    outside(stand_in, "a")
    default = outside(stand_in, "b", is_default=True)
    assert await from_where(canned) == default


async def test_without_a_default_it_is_from_where_routers_lead(
    canned: Cloud, stand_in: StandIn
) -> None:
    outside(stand_in, "a")
    used = outside(stand_in, "b")
    stand_in.add("routers", {"external_gateway_info": {"network_id": used}})
    assert await from_where(canned) == used


async def test_without_routers_it_is_from_the_first_network(
    canned: Cloud, stand_in: StandIn
) -> None:
    stand_in.add("networks", {"name": "0"})
    outside(stand_in, "b")
    first = outside(stand_in, "a")
    assert await from_where(canned) == first


@pytest.mark.parametrize("by", ["name", "id"])
async def test_the_network_of_the_settings_stands_before_all(
    stand_in: StandIn, tmp_path: Path, by: str
) -> None:
    outside(stand_in, "a", is_default=True)
    wanted = outside(stand_in, "b")
    settings = {"external_network": "b" if by == "name" else wanted}
    async with logged_in(stand_in, tmp_path, settings) as cloud:
        assert await from_where(cloud) == wanted


async def test_a_network_of_the_settings_that_is_not_there_is_told(
    stand_in: StandIn, tmp_path: Path
) -> None:
    outside(stand_in, "a")
    async with logged_in(stand_in, tmp_path, {"external_network": "b"}) as cloud:
        with pytest.raises(Invalid, match="'b'"):
            await from_where(cloud)


async def test_a_cloud_without_a_way_outside_has_no_addresses(canned: Cloud) -> None:
    with pytest.raises(Invalid, match="no network leads outside"):
        await from_where(canned)


@pytest.fixture
async def address(canned: Cloud, stand_in: StandIn) -> Address:
    outside(stand_in, "public")
    return await canned.call(Addresses.create, NewAddress())


async def test_the_first_port_from_which_a_router_leads_there_is_taken(
    canned: Cloud, stand_in: StandIn, address: Address
) -> None:
    id = stand_in.attached("2001:db8::5", "of-ipv6")
    for ip in ("10.1.0.5", "10.2.0.5"):
        fixed = [{"subnet_id": "s", "ip_address": ip}]
        owner = {"device_id": id, "device_owner": "compute:nova", "fixed_ips": fixed}
        stand_in.add("ports", owner)

    def before(asked: Asked) -> Reply | None:
        is_cut_off = asked.method == "PUT" and b"10.1.0.5" in asked.body
        return refusal(404, "ExternalGatewayForFloatingIPNotFound") if is_cut_off else None

    stand_in.before = before
    await canned.call(Addresses.associate, address.id, id)
    assert stand_in.neutron["floatingips"][address.id]["fixed_ip_address"] == "10.2.0.5"


async def test_an_instance_that_no_router_joins_is_a_conflict(
    canned: Cloud, stand_in: StandIn, address: Address
) -> None:
    id = stand_in.attached("10.1.0.5", "s")
    stand_in.before = lambda asked: (
        refusal(404, "ExternalGatewayForFloatingIPNotFound", "no way from there")
        if asked.method == "PUT"
        else None
    )
    with pytest.raises(Conflict, match="no way from there"):
        await canned.call(Addresses.associate, address.id, id)


async def test_an_instance_without_an_address_of_ipv4_is_a_conflict(
    canned: Cloud, stand_in: StandIn, address: Address
) -> None:
    with pytest.raises(Conflict, match="IPv4"):
        await canned.call(
            Addresses.associate, address.id, stand_in.attached("2001:db8::5", "of-ipv6")
        )


@pytest.mark.parametrize("action", ["destroy", "associate"])
async def test_what_somebody_else_has_changed_meanwhile_is_left_alone(
    canned: Cloud, stand_in: StandIn, address: Address, action: str
) -> None:
    id = stand_in.attached("10.1.0.5", "s")
    told = stand_in.neutron["floatingips"][address.id]

    def before(asked: Asked) -> Reply | None:
        if asked.method in ("PUT", "DELETE"):
            told["port_id"] = "theirs"
            told["revision_number"] = 7
        return None

    stand_in.before = before
    with pytest.raises(Conflict):
        if action == "destroy":
            await canned.call(Addresses.destroy, address.id)
        else:
            await canned.call(Addresses.associate, address.id, id)
    assert told["port_id"] == "theirs"


async def test_a_cloud_that_does_not_tell_of_the_port_is_asked(
    canned: Cloud, stand_in: StandIn, address: Address
) -> None:
    id = stand_in.attached("10.1.0.5", "s")
    (port,) = stand_in.neutron["ports"]
    stand_in.neutron["floatingips"][address.id]["port_id"] = port
    assert (await canned.call(Addresses.get, address.id)).instance_id == id


async def test_one_can_talk_to_a_guest_through_an_address(
    cloud: Cloud, project: Project, image_id: str, profile_id: str
) -> None:
    made = Made(cloud, PATIENCE_S)
    try:
        firewall = await made.create(Firewalls, NewFirewall(name="ssh", description="let us in"))
        await cloud.call(Firewalls.create_rule, firewall.id, SSH)
        wish = NewInstance(
            image_id=image_id,
            hardware_profile_id=profile_id,
            network_ids=(project.network_id,),
            firewall_ids=(firewall.id,),
        )
        guest = await rested(cloud, (await made.create(Instances, wish)).id, PATIENCE_S)
        address = await made.create(Addresses, NewAddress())
        await cloud.call(Addresses.associate, address.id, guest.id)
        assert (await greeting(address.ip)).startswith(b"SSH-2.0-")
    finally:
        await made.clear()


async def greeting(ip: str) -> bytes:
    """Return what an ssh server says first, as soon as it is there."""
    said: list[bytes] = []

    async def answers() -> bool:
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(ip, 22), 5.0)
        except (OSError, TimeoutError):
            return False
        try:
            said.append(await asyncio.wait_for(reader.readline(), 10.0))
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        return True

    await comes_true(answers, "the guest does not answer", PATIENCE_S)
    return said[-1]
