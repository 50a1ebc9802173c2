"""Load balancers, with a stand-in for Octavia: the cloud of these tests has none."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.drivers.openstack.canned import logged_in, standing_in
from tests.drivers.openstack.neutron import LOST, StandIn, refusal
from tests.targets.exchange import Asked, Reply

from nimbi import drivertest as conformance
from nimbi.driver.network import Addresses, LoadBalancers
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import Wish
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from nimbi.model.instances import Instance, InstanceState
from nimbi.model.load_balancers import Listener, ListenerProtocol, LoadBalancer, NewLoadBalancer

WEB = Listener(ListenerProtocol.HTTP, 80, 8080)
SSH = Listener(ListenerProtocol.TCP, 2222, 22)
NEW = NewLoadBalancer(name="front", realm_id=None, listeners=(WEB,))


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """Give an OpenStack with a subnet behind a router that leads outside."""
    async with standing_in(StandIn()) as stand_in:
        outside = stand_in.add("networks", {"name": "public", "router:external": True})
        inside = stand_in.add("networks", {"name": "home"})
        subnet = stand_in.add("subnets", {"network_id": inside["id"], "ip_version": 4})
        gateway = {"network_id": outside["id"]}
        router = stand_in.add("routers", {"external_gateway_info": gateway})
        port = {
            "device_id": router["id"],
            "device_owner": "network:router_interface",
            "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}],
        }
        stand_in.add("ports", port)
        yield stand_in


@pytest.fixture
async def cloud(stand_in: StandIn, tmp_path: Path) -> AsyncIterator[Cloud]:
    async with logged_in(stand_in, tmp_path) as cloud:
        yield cloud


@pytest.fixture
def subnet_id(stand_in: StandIn) -> str:
    return next(iter(stand_in.neutron["subnets"]))


def running(id: str) -> Instance:
    """Return a server of the stand-in as Nimbi tells of it."""
    return Instance(
        id=id,
        name="guest",
        owner_id=None,
        image_id=None,
        realm_id=None,
        hardware_profile_id=None,
        state=InstanceState.RUNNING,
    )


class TestLoadBalancers(conformance.ConformsToLoadBalancers):
    @pytest.fixture
    async def wish(self) -> Wish:
        return lambda: replace(NEW, name=fresh_name())

    @pytest.fixture
    async def instance(self, stand_in: StandIn, subnet_id: str) -> Instance:
        return running(stand_in.attached("10.0.0.11", subnet_id))

    @pytest.fixture
    async def other_instance(self, stand_in: StandIn, subnet_id: str) -> Instance:
        return running(stand_in.attached("10.0.0.12", subnet_id))


async def made(cloud: Cloud, new: NewLoadBalancer = NEW) -> LoadBalancer:
    return await cloud.call(LoadBalancers.create, new)


async def test_one_request_makes_a_balancer_with_all_its_parts(
    cloud: Cloud, stand_in: StandIn
) -> None:
    await made(cloud, replace(NEW, listeners=(WEB, SSH)))
    posts = [asked for asked in stand_in.asked if asked.startswith("POST /lbaas")]
    assert posts == ["POST /lbaas/loadbalancers"]
    pools = {pool["name"]: pool for pool in stand_in.octavia.pools.values()}
    assert {name: pool["protocol"] for name, pool in pools.items()} == {
        "nimbi-80": "HTTP",
        "nimbi-2222": "TCP",
    }
    assert {pool["healthmonitor"]["type"] for pool in pools.values()} == {"TCP"}


async def test_it_is_reached_by_a_floating_ip_which_goes_with_it(
    cloud: Cloud, stand_in: StandIn
) -> None:
    new = await made(cloud)
    (outer,) = stand_in.neutron["floatingips"].values()
    assert new.public_addresses == (outer["floating_ip_address"],)
    assert outer["port_id"] == stand_in.octavia.balancers[new.id]["vip_port_id"]
    assert (await cloud.call(Addresses.get, outer["id"])).instance_id is None
    await cloud.call(LoadBalancers.destroy, new.id)
    assert stand_in.neutron["floatingips"] == {}


async def test_a_floating_ip_that_a_user_has_pointed_at_it_stays(
    cloud: Cloud, stand_in: StandIn
) -> None:
    new = await made(cloud)
    (own,) = stand_in.neutron["floatingips"].values()
    own["description"] = "made by hand"
    await cloud.call(LoadBalancers.destroy, new.id)
    assert list(stand_in.neutron["floatingips"]) == [own["id"]]


async def test_without_a_way_outside_it_has_its_inner_address_only(
    cloud: Cloud, stand_in: StandIn
) -> None:
    stand_in.neutron["routers"].clear()
    new = await made(cloud)
    assert new.public_addresses == ("10.0.0.200",)
    assert stand_in.neutron["floatingips"] == {}


async def test_the_subnet_of_the_settings_is_taken(stand_in: StandIn, tmp_path: Path) -> None:
    other = stand_in.add("subnets", {"name": "edge", "ip_version": 4})
    async with logged_in(stand_in, tmp_path, {"balancer_subnet": "edge"}) as cloud:
        new = await made(cloud)
    assert stand_in.octavia.balancers[new.id]["vip_subnet_id"] == other["id"]


async def test_a_project_without_a_subnet_is_told_so(cloud: Cloud, stand_in: StandIn) -> None:
    stand_in.neutron["subnets"].clear()
    with pytest.raises(Invalid, match="no subnet"):
        await made(cloud)


async def test_an_answer_that_is_lost_leaves_one_balancer_and_one_address(
    cloud: Cloud, stand_in: StandIn
) -> None:
    lost: list[str] = []

    def after(asked: Asked, told: Reply) -> Reply:
        if asked.method == "POST" and asked.target not in lost:
            lost.append(asked.target)
            return Reply(told.status, told.body, told.headers, cut=LOST)
        return told

    stand_in.after = after
    new = await made(cloud)
    assert len(lost) == 2
    assert list(stand_in.octavia.balancers) == [new.id]
    (outer,) = stand_in.neutron["floatingips"].values()
    assert new.public_addresses == (outer["floating_ip_address"],)


async def test_the_quota_is_told_from_what_a_role_may_not_do(
    cloud: Cloud, stand_in: StandIn
) -> None:
    await made(cloud)
    stand_in.octavia.quota = 1
    with pytest.raises(QuotaExceeded):
        await made(cloud)
    stand_in.octavia.quota, stand_in.octavia.is_allowed = 2, False
    with pytest.raises(Forbidden):
        await made(cloud)
    assert len(stand_in.neutron["floatingips"]) == 1


async def test_the_quota_of_addresses_leaves_no_balancer(cloud: Cloud, stand_in: StandIn) -> None:
    def before(asked: Asked) -> Reply | None:
        is_address = asked.method == "POST" and asked.target.endswith("/floatingips")
        return refusal(409, "OverQuota") if is_address else None

    stand_in.before = before
    with pytest.raises(QuotaExceeded):
        await made(cloud)
    assert stand_in.octavia.balancers == {}


async def test_a_zone_of_octavia_is_kept_and_another_is_refused(
    cloud: Cloud, stand_in: StandIn
) -> None:
    stand_in.octavia.zones = ["east"]
    assert (await made(cloud, replace(NEW, realm_id="east"))).realm_ids == ("east",)
    with pytest.raises(Invalid):
        await made(cloud, replace(NEW, realm_id="nova"))


async def test_members_are_as_healthy_as_where_they_are_worst(
    cloud: Cloud, stand_in: StandIn, subnet_id: str
) -> None:
    new = await made(cloud, replace(NEW, listeners=(WEB, SSH)))
    good, bad = (stand_in.attached(ip, subnet_id) for ip in ("10.0.0.11", "10.0.0.12"))
    for id in (good, bad):
        await cloud.call(LoadBalancers.register, new.id, id)
    stand_in.octavia.health = {"10.0.0.11": "ONLINE", "10.0.0.12": "ERROR"}
    told = {m.instance_id: m for m in (await cloud.call(LoadBalancers.get, new.id)).members}
    assert (told[good].healthy, told[good].reason) == (True, None)
    assert (told[bad].healthy, told[bad].reason) == (False, "ERROR")
    ports = {
        (pool["name"], member["address"], member["protocol_port"])
        for pool in stand_in.octavia.pools.values()
        for member in pool["members"].values()
    }
    assert ports == {
        ("nimbi-80", "10.0.0.11", 8080),
        ("nimbi-80", "10.0.0.12", 8080),
        ("nimbi-2222", "10.0.0.11", 22),
        ("nimbi-2222", "10.0.0.12", 22),
    }


async def test_a_member_is_who_has_its_address_now(
    cloud: Cloud, stand_in: StandIn, subnet_id: str
) -> None:
    new = await made(cloud)
    gone = stand_in.attached("10.0.0.11", subnet_id)
    await cloud.call(LoadBalancers.register, new.id, gone)
    ports = stand_in.neutron["ports"]
    (port,) = [each for each in ports.values() if each["device_id"] == gone]
    del ports[port["id"]]
    assert (await cloud.call(LoadBalancers.get, new.id)).instance_ids == ()
    heir = stand_in.attached("10.0.0.11", subnet_id)
    assert (await cloud.call(LoadBalancers.get, new.id)).instance_ids == (heir,)


async def test_an_instance_that_is_gone_can_be_unregistered(
    cloud: Cloud, stand_in: StandIn, subnet_id: str
) -> None:
    new = await made(cloud)
    id = stand_in.attached("10.0.0.11", subnet_id)
    await cloud.call(LoadBalancers.register, new.id, id)
    ports = stand_in.neutron["ports"]
    (port,) = [each for each in ports.values() if each["device_id"] == id]
    del ports[port["id"]], stand_in.servers[id]
    await cloud.call(LoadBalancers.unregister, new.id, id)
    (pool,) = stand_in.octavia.pools.values()
    assert pool["members"] == {}


async def test_the_same_address_in_two_networks_is_told_by_the_name_of_the_member(
    cloud: Cloud, stand_in: StandIn, subnet_id: str
) -> None:
    new = await made(cloud)
    id = stand_in.attached("10.0.0.11", subnet_id)
    stand_in.attached("10.0.0.11", "another")
    await cloud.call(LoadBalancers.register, new.id, id)
    assert (await cloud.call(LoadBalancers.get, new.id)).instance_ids == (id,)


async def test_an_instance_without_an_address_cannot_be_registered(
    cloud: Cloud, stand_in: StandIn
) -> None:
    new = await made(cloud)
    stand_in.servers["00000000-0000-4000-8000-000000000000"] = {}
    with pytest.raises(Conflict):
        await cloud.call(LoadBalancers.register, new.id, "00000000-0000-4000-8000-000000000000")


async def test_one_that_is_gone_is_not_found(cloud: Cloud, stand_in: StandIn) -> None:
    new = await made(cloud)
    stand_in.octavia.balancers[new.id]["provisioning_status"] = "DELETED"
    stand_in.octavia.looks[new.id] = 5
    with pytest.raises(NotFound):
        await cloud.call(LoadBalancers.get, new.id)
