"""Networks, subnets and routers, with what a real cloud does not show at will."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.openstack.canned import logged_in, standing_in
from tests.drivers.openstack.neutron import LOST, StandIn, refusal
from tests.targets.exchange import Asked, Reply

from nimbi.driver.network import (
    Addresses,
    Firewalls,
    NetworkInterfaces,
    Networks,
    Routers,
    Subnets,
)
from nimbi.gateway.cloud import Cloud
from nimbi.model.addresses import NewAddress
from nimbi.model.errors import (
    CloudError,
    Conflict,
    Invalid,
    NotFound,
    OutOfCapacity,
    QuotaExceeded,
)
from nimbi.model.firewalls import NewFirewall
from nimbi.model.networks import NewNetwork, NewNetworkInterface, NewSubnet
from nimbi.model.routers import NewRouter


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    async with standing_in(StandIn()) as stand_in:
        yield stand_in


@pytest.fixture
async def cloud(stand_in: StandIn, tmp_path: Path) -> AsyncIterator[Cloud]:
    async with logged_in(stand_in, tmp_path) as cloud:
        yield cloud


@pytest.fixture
def network_id(stand_in: StandIn) -> str:
    return str(stand_in.add("networks", {"name": "home"})["id"])


@pytest.fixture
def outside_id(stand_in: StandIn) -> str:
    return str(stand_in.add("networks", {"name": "public", "router:external": True})["id"])


def wishes(network_id: str) -> dict[str, tuple[Any, Any]]:
    """Return what is created, and where Neutron has it."""
    return {
        "networks": (Networks.create, NewNetwork(name="n", address_block="10.0.0.0/16")),
        "subnets": (Subnets.create, NewSubnet(network_id=network_id, address_block="10.0.1.0/24")),
        "routers": (Routers.create, NewRouter(name="r")),
        "ports": (
            NetworkInterfaces.create,
            NewNetworkInterface(network_id=network_id, unattached=True),
        ),
        "floatingips": (Addresses.create, NewAddress()),
        "security-groups": (Firewalls.create, NewFirewall(name="f", description="the web")),
    }


KINDS = sorted(wishes(""))


@pytest.mark.usefixtures("outside_id")
@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_is_lost_leaves_one_thing(
    cloud: Cloud, stand_in: StandIn, network_id: str, kind: str
) -> None:
    before = set(stand_in.neutron[kind])
    lost: list[str] = []

    def after(asked: Asked, told: Reply) -> Reply:
        if asked.method == "POST" and not lost:
            lost.append(asked.target)
            return Reply(told.status, told.body, told.headers, cut=LOST)
        return told

    stand_in.after = after
    operation, wish = wishes(network_id)[kind]
    made = await cloud.call(operation, wish)
    assert lost
    assert set(stand_in.neutron[kind]) - before == {made.id}


@pytest.mark.usefixtures("outside_id")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "type", "kind_of_error"),
    [
        (409, "OverQuota", QuotaExceeded),
        (409, "IpAddressGenerationFailure", OutOfCapacity),
        (400, "ExternalIpAddressExhausted", OutOfCapacity),
        (503, "NoNetworkAvailable", OutOfCapacity),
        (400, "InvalidInput", Invalid),
        (404, "SomethingNotFound", NotFound),
        (409, "SomethingInUse", Conflict),
    ],
)
async def test_neutron_refuses_by_type(
    cloud: Cloud,
    stand_in: StandIn,
    network_id: str,
    kind: str,
    status: int,
    type: str,
    kind_of_error: type[CloudError],
) -> None:
    stand_in.before = lambda asked: refusal(status, type) if asked.method == "POST" else None
    operation, wish = wishes(network_id)[kind]
    with pytest.raises(kind_of_error):
        await cloud.call(operation, wish)


async def test_a_network_keeps_its_block_and_its_subnets_lie_in_it(
    cloud: Cloud, stand_in: StandIn
) -> None:
    new = await cloud.call(Networks.create, NewNetwork(name="n", address_block="10.7.0.0/16"))
    with pytest.raises(Invalid, match="not within"):
        await cloud.call(Subnets.create, NewSubnet(network_id=new.id, address_block="10.8.0.0/24"))
    wish = NewSubnet(network_id=new.id, address_block="10.7.1.0/24")
    inner = await cloud.call(Subnets.create, wish)
    outer = stand_in.add("subnets", {"network_id": new.id, "cidr": "192.0.2.0/24"})
    told = await cloud.call(Networks.get, new.id)
    assert told.address_blocks == ("10.7.0.0/16", "192.0.2.0/24")
    assert set(told.subnet_ids) == {inner.id, outer["id"]}


async def test_a_network_without_a_block_has_those_of_its_subnets(
    cloud: Cloud, stand_in: StandIn
) -> None:
    new = await cloud.call(Networks.create, NewNetwork(name="n"))
    assert new.address_blocks == ()
    stand_in.add("subnets", {"network_id": new.id, "cidr": "2001:db8::/64"})
    assert (await cloud.call(Networks.get, new.id)).address_blocks == ("2001:db8::/64",)


@pytest.mark.parametrize(
    ("block", "version", "mode"),
    [
        ("10.0.0.0/24", 4, None),
        ("2001:db8::/64", 6, "slaac"),
        ("2001:db8::/80", 6, "dhcpv6-stateful"),
    ],
)
async def test_a_subnet_of_ipv6_tells_guests_their_addresses(
    cloud: Cloud, stand_in: StandIn, network_id: str, block: str, version: int, mode: str | None
) -> None:
    new = await cloud.call(Subnets.create, NewSubnet(network_id=network_id, address_block=block))
    told = stand_in.neutron["subnets"][new.id]
    assert (told["ip_version"], told.get("ipv6_ra_mode")) == (version, mode)
    assert told.get("ipv6_address_mode") == mode


async def test_a_subnet_is_public_when_its_network_leads_outside(
    cloud: Cloud, stand_in: StandIn, network_id: str, outside_id: str
) -> None:
    inner = stand_in.add("subnets", {"network_id": network_id, "cidr": "10.0.0.0/24"})
    outer = stand_in.add("subnets", {"network_id": outside_id, "cidr": "192.0.2.0/24"})
    kinds = {subnet.id: subnet.kind async for subnet in cloud.each(Subnets.page)}
    assert kinds == {inner["id"]: "private", outer["id"]: "public"}


async def test_many_networks_are_asked_about_in_parts(cloud: Cloud, stand_in: StandIn) -> None:
    ids = sorted(str(stand_in.add("networks", {})["id"]) for _ in range(250))
    for id in ids:
        stand_in.add("subnets", {"network_id": id, "cidr": "10.0.0.0/24"})
    told = [network async for network in cloud.each(Networks.page)]
    assert [network.id for network in told] == ids
    assert all(len(network.subnet_ids) == 1 for network in told)
    assert stand_in.asked.count("GET /networks") == 1
    assert stand_in.asked.count("GET /subnets") == 3


@pytest.mark.parametrize("starts_anew", [False, True])
async def test_a_list_goes_on_behind_a_marker_that_is_gone(
    cloud: Cloud, stand_in: StandIn, *, starts_anew: bool
) -> None:
    ids = sorted(str(stand_in.add("networks", {})["id"]) for _ in range(7))
    page = await cloud.call(Networks.page, None, 3)
    for id in ids[:3]:
        del stand_in.neutron["networks"][id]

    def before(asked: Asked) -> Reply | None:
        # Some lists of Neutron take no notice of a marker that they do not know.
        if not starts_anew or f"marker={ids[2]}" not in asked.target:
            return None
        return asked_without_marker(stand_in, asked)

    stand_in.before = before
    rest = await cloud.call(Networks.page, page.next, 1000)
    assert [network.id for network in rest.items] == ids[3:]
    assert rest.next is None


def asked_without_marker(stand_in: StandIn, asked: Asked) -> Reply:
    target, _, query = asked.target.partition("?")
    kept = "&".join(part for part in query.split("&") if not part.startswith("marker="))
    other = Asked(asked.method, f"{target}?{kept}", asked.headers, asked.body)
    return stand_in.answered(other)


async def test_ports_of_the_cloud_itself_are_no_interfaces(
    cloud: Cloud, stand_in: StandIn, network_id: str
) -> None:
    owners = ["", "compute:nova", "network:dhcp", "network:router_interface", "compute:az-2"] * 5
    ports = [
        stand_in.add("ports", {"network_id": network_id, "device_owner": owner, "device_id": "x"})
        for owner in owners
    ]
    wanted = sorted(p["id"] for p in ports if not p["device_owner"].startswith("network:"))
    told = [port async for port in cloud.each(NetworkInterfaces.page, limit=2)]
    assert [port.id for port in told] == wanted
    dhcp = next(port["id"] for port in ports if port["device_owner"] == "network:dhcp")
    with pytest.raises(NotFound):
        await cloud.call(NetworkInterfaces.get, dhcp)


async def test_a_subnet_without_a_gateway_has_no_room_for_a_router(
    cloud: Cloud, stand_in: StandIn, network_id: str
) -> None:
    router = await cloud.call(Routers.create, NewRouter(name="r"))
    subnet = stand_in.add("subnets", {"network_id": network_id, "gateway_ip": None})
    with pytest.raises(Conflict, match="gateway"):
        await cloud.call(Routers.connect, router.id, subnet["id"])
