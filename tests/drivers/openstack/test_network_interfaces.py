"""Network interfaces: ports that are made and attached as one, detached and deleted as one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.drivers.openstack.canned import logged_in, standing_in
from tests.drivers.openstack.neutron import LOST, StandIn, reply
from tests.targets.exchange import Asked, Reply

from nimbi.driver.network import NetworkInterfaces
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.networks import NetworkState, NewNetworkInterface

BUSY = {"conflictingRequest": {"code": 409, "message": "the server is in task_state rebooting"}}


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
def server_id(stand_in: StandIn) -> str:
    return stand_in.attached("10.0.0.5", "s")


def plugs(asked: Asked) -> bool:
    return asked.method == "POST" and asked.target.endswith("os-interface")


async def test_a_new_interface_is_attached(cloud: Cloud, network_id: str, server_id: str) -> None:
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id)
    new = await cloud.call(NetworkInterfaces.create, wish)
    assert (new.instance_id, new.state) == (server_id, NetworkState.UP)


async def test_an_unattached_one_is_of_no_instance(cloud: Cloud, network_id: str) -> None:
    wish = NewNetworkInterface(network_id=network_id, unattached=True)
    new = await cloud.call(NetworkInterfaces.create, wish)
    assert (new.instance_id, new.state) == (None, NetworkState.DOWN)


async def test_a_lost_answer_of_nova_leaves_one_port_that_is_attached(
    cloud: Cloud, stand_in: StandIn, network_id: str, server_id: str
) -> None:
    lost: list[str] = []

    def after(asked: Asked, told: Reply) -> Reply:
        if plugs(asked) and not lost:
            lost.append(asked.target)
            return Reply(told.status, told.body, told.headers, cut=LOST)
        return told

    stand_in.after = after
    before = set(stand_in.neutron["ports"])
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id)
    new = await cloud.call(NetworkInterfaces.create, wish)
    assert lost
    assert set(stand_in.neutron["ports"]) - before == {new.id}
    assert new.instance_id == server_id
    assert sum("os-interface" in asked for asked in stand_in.asked) == 1


async def test_what_cannot_be_attached_is_deleted_again(
    cloud: Cloud, stand_in: StandIn, network_id: str, server_id: str
) -> None:
    refused = {"badRequest": {"code": 400, "message": "no free slot"}}
    stand_in.before = lambda asked: reply(400, refused) if plugs(asked) else None
    before = set(stand_in.neutron["ports"])
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id)
    with pytest.raises(Invalid, match="no free slot"):
        await cloud.call(NetworkInterfaces.create, wish)
    assert set(stand_in.neutron["ports"]) == before


async def test_an_attempt_that_reached_nova_late_is_found(
    cloud: Cloud, stand_in: StandIn, network_id: str, server_id: str
) -> None:
    def after(asked: Asked, told: Reply) -> Reply:
        in_use = {"badRequest": {"code": 400, "message": "the port is in use"}}
        return reply(400, in_use) if plugs(asked) else told

    stand_in.after = after
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id)
    assert (await cloud.call(NetworkInterfaces.create, wish)).instance_id == server_id


async def test_a_task_of_the_server_is_waited_out(
    cloud: Cloud, stand_in: StandIn, network_id: str, server_id: str
) -> None:
    stand_in.servers[server_id]["OS-EXT-STS:task_state"] = "rebooting"

    def before(asked: Asked) -> Reply | None:
        if plugs(asked) and stand_in.servers[server_id]["OS-EXT-STS:task_state"]:
            stand_in.servers[server_id]["OS-EXT-STS:task_state"] = None
            return reply(409, BUSY)
        return None

    stand_in.before = before
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id)
    assert (await cloud.call(NetworkInterfaces.create, wish)).instance_id == server_id


async def test_a_destroyed_one_is_detached_first(
    cloud: Cloud, stand_in: StandIn, network_id: str, server_id: str
) -> None:
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id)
    new = await cloud.call(NetworkInterfaces.create, wish)
    await cloud.call(NetworkInterfaces.destroy, new.id)
    assert new.id not in stand_in.neutron["ports"]
    ends = [asked for asked in stand_in.asked if asked.startswith("DELETE")]
    assert ends == [
        f"DELETE /servers/{server_id}/os-interface/{new.id}",
        f"DELETE /ports/{new.id}",
    ]


async def test_a_port_of_nova_goes_with_its_attachment(
    cloud: Cloud, stand_in: StandIn, server_id: str
) -> None:
    (port_id,) = stand_in.neutron["ports"]

    def after(asked: Asked, told: Reply) -> Reply:
        if asked.method == "DELETE":
            del stand_in.neutron["ports"][port_id]
        return told

    stand_in.after = after
    await cloud.call(NetworkInterfaces.destroy, port_id)
    assert f"DELETE /servers/{server_id}/os-interface/{port_id}" in stand_in.asked
    assert f"DELETE /ports/{port_id}" not in stand_in.asked


async def test_one_that_another_server_has_meanwhile_is_left_there(
    cloud: Cloud, stand_in: StandIn, network_id: str, server_id: str
) -> None:
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id)
    new = await cloud.call(NetworkInterfaces.create, wish)
    other = stand_in.attached("10.0.0.6", "s")

    def after(asked: Asked, told: Reply) -> Reply:
        if asked.method == "DELETE":
            owner = {"device_id": other, "device_owner": "compute:nova"}
            stand_in.neutron["ports"][new.id] |= owner
        return told

    stand_in.after = after
    with pytest.raises(Conflict):
        await cloud.call(NetworkInterfaces.destroy, new.id)
    assert (await cloud.call(NetworkInterfaces.get, new.id)).instance_id == other


async def test_a_subnet_of_another_network_is_invalid_and_an_unknown_network_not_found(
    cloud: Cloud, stand_in: StandIn, network_id: str, server_id: str
) -> None:
    other_id = stand_in.add("networks", {})["id"]
    subnet_id = stand_in.add("subnets", {"network_id": other_id})["id"]
    wish = NewNetworkInterface(instance_id=server_id, network_id=network_id, subnet_id=subnet_id)
    with pytest.raises(Invalid, match="not in"):
        await cloud.call(NetworkInterfaces.create, wish)
    del stand_in.neutron["networks"][network_id]
    with pytest.raises(NotFound):
        await cloud.call(NetworkInterfaces.create, wish)
