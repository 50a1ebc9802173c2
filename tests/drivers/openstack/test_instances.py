"""What the driver asks of Nova, and makes of what only a stand-in says when it is wanted."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.drivers.openstack.stand_in import (
    LOGIN,
    PROJECT,
    StandIn,
    Told,
    dropped,
    fault,
    standing_in,
)

from nimbi.driver.compute import Instances
from nimbi.drivers.openstack import DRIVER
from nimbi.drivers.openstack.marks import digest
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import CloudError, Conflict, Invalid, OutOfCapacity, QuotaExceeded
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import (
    InstanceFilter,
    InstanceState,
    NewAttachment,
    NewInstance,
    UserFile,
)

COMPUTE = "/compute/v2.1"
ID, OTHER_ID = "5e7e7000-0000-4000-8000-000000000001", "5e7e7000-0000-4000-8000-000000000002"
IMAGE, NETWORK = "1a6e0000-0000-4000-8000-000000000001", "0e700000-0000-4000-8000-000000000001"
VOLUME, PORT = "70100000-0000-4000-8000-000000000001", "90470000-0000-4000-8000-000000000001"
SNAPSHOT, GROUP = "54a90000-0000-4000-8000-000000000001", "6a000000-0000-4000-8000-000000000001"
SMALL, LARGE = "f1a00000-0000-4000-8000-000000000001", "f1a00000-0000-4000-8000-000000000002"
TOKEN = "a wish"

WISH = NewInstance(
    image_id=IMAGE, hardware_profile_id=SMALL, network_ids=(NETWORK,), token=TOKEN, name="web"
)


def server(**changes: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "web",
        "status": "ACTIVE",
        "tenant_id": PROJECT,
        "metadata": {"nimbi:token": digest(TOKEN)},
        "hostId": "a host",
        "image": {"id": IMAGE},
        "flavor": {"id": SMALL},
        "created": "2026-05-08T16:46:00Z",
        "addresses": {},
        "OS-EXT-AZ:availability_zone": "nova",
        "OS-EXT-STS:task_state": None,
        **changes,
    }


def flavour(id: str, ram: int) -> dict[str, Any]:
    return {"id": id, "name": f"ram{ram}", "vcpus": 1, "ram": ram, "disk": 1, "extra_specs": {}}


@pytest.fixture
async def nova() -> AsyncIterator[StandIn]:
    """Give a cloud with two flavours, a network and a server that runs."""
    async with standing_in() as cloud:
        flavours = {"flavors": [flavour(SMALL, 128), flavour(LARGE, 256)]}
        cloud.tell(f"GET {COMPUTE}/flavors/detail", flavours)
        cloud.tell("GET /network/v2.0/ports", {"ports": []})
        cloud.tell("GET /network/v2.0/networks", {"networks": [{"id": NETWORK}]})
        cloud.tell(f"GET {COMPUTE}/servers/{ID}", {"server": server()})
        cloud.tell(f"POST {COMPUTE}/servers", {"server": {"id": ID}})
        cloud.tell(f"POST {COMPUTE}/servers/{ID}/action", 202)
        cloud.tell(f"GET {COMPUTE}/servers/detail", {"servers": []})
        yield cloud


@asynccontextmanager
async def logged_in(cloud: StandIn, place: Path) -> AsyncIterator[Cloud]:
    async with opened(DRIVER, place, credentials=LOGIN, provider=cloud.auth_url) as ours:
        yield ours


async def body_of(nova: StandIn, place: Path, wish: NewInstance, count: int = 1) -> Any:
    """Return what Nova is asked for a wish."""
    async with logged_in(nova, place) as cloud:
        if count == 1:
            await cloud.instances.create(wish)
        else:
            await cloud.instances.create_many(wish, count)
    (asked,) = [each for each in nova.requests(f"{COMPUTE}/servers") if each.method == "POST"]
    return asked.json


def actions(nova: StandIn) -> list[Mapping[str, Any]]:
    return [asked.json for asked in nova.requests(f"{COMPUTE}/servers/{ID}/action")]


async def test_a_plain_wish_names_what_was_asked_and_its_token(
    nova: StandIn, tmp_path: Path
) -> None:
    told = (await body_of(nova, tmp_path, WISH))["server"]
    assert told == {
        "name": "web",
        "imageRef": IMAGE,
        "flavorRef": SMALL,
        "networks": [{"uuid": NETWORK}],
        "metadata": {"nimbi:token": digest(TOKEN)},
        "tags": [f"nimbi-{digest(TOKEN)}"],
        "min_count": 1,
        "max_count": 1,
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"key_id": "k"}, {"key_name": "k"}),
        ({"realm_id": "az"}, {"availability_zone": "az"}),
        ({"config_drive": True}, {"config_drive": True}),
        ({"user_data": b"hi"}, {"user_data": base64.b64encode(b"hi").decode()}),
        ({"firewall_ids": (GROUP,)}, {"security_groups": [{"name": GROUP}]}),
        (
            {"fixed_address": "10.0.0.7"},
            {"networks": [{"uuid": NETWORK, "fixed_ip": "10.0.0.7"}]},
        ),
        (
            {"network_interface_ids": (PORT,)},
            {"networks": [{"uuid": NETWORK}, {"port": PORT}]},
        ),
        ({"network_ids": ()}, {"networks": "auto"}),
    ],
)
async def test_each_wish_is_told_in_novas_words(
    nova: StandIn, tmp_path: Path, changes: Mapping[str, Any], told: Mapping[str, Any]
) -> None:
    body = await body_of(nova, tmp_path, replace(WISH, **changes))
    assert told.items() <= body["server"].items()


async def test_hints_go_to_the_scheduler(nova: StandIn, tmp_path: Path) -> None:
    body = await body_of(nova, tmp_path, replace(WISH, scheduler_hints={"group": GROUP}))
    assert body["os:scheduler_hints"] == {"group": GROUP}


async def test_without_any_network_there_is_none_to_join(nova: StandIn, tmp_path: Path) -> None:
    nova.tell("GET /network/v2.0/networks", {"networks": []})
    body = await body_of(nova, tmp_path, replace(WISH, network_ids=()))
    assert body["server"]["networks"] == "none"


async def test_files_are_told_in_the_last_version_that_takes_them(
    nova: StandIn, tmp_path: Path
) -> None:
    body = await body_of(nova, tmp_path, replace(WISH, user_files=(UserFile("/etc/x", b"x"),)))
    contents = base64.b64encode(b"x").decode()
    assert body["server"]["personality"] == [{"path": "/etc/x", "contents": contents}]
    (asked,) = [a for a in nova.requests(f"{COMPUTE}/servers") if a.method == "POST"]
    assert asked.headers["OpenStack-API-Version"] == "compute 2.56"


async def test_a_volume_to_boot_from_stays_when_the_instance_goes(
    nova: StandIn, tmp_path: Path
) -> None:
    body = await body_of(nova, tmp_path, replace(WISH, image_id=None, boot_volume_id=VOLUME))
    assert "imageRef" not in body["server"]
    (mapping,) = body["server"]["block_device_mapping_v2"]
    assert mapping == {
        "boot_index": 0,
        "uuid": VOLUME,
        "source_type": "volume",
        "destination_type": "volume",
        "delete_on_termination": False,
    }


async def test_volumes_are_made_beside_the_image(nova: StandIn, tmp_path: Path) -> None:
    volumes = (
        NewAttachment(device="/dev/vdb", size_gib=2.5, kind="fast"),
        NewAttachment(device="/dev/vdc", snapshot_id=SNAPSHOT, keep=True),
    )
    body = await body_of(nova, tmp_path, replace(WISH, volumes=volumes))
    boot, blank, filled = body["server"]["block_device_mapping_v2"]
    assert (boot["uuid"], boot["destination_type"], boot["boot_index"]) == (IMAGE, "local", 0)
    assert (blank["source_type"], blank["volume_size"], blank["volume_type"]) == (
        "blank",
        3,
        "fast",
    )
    assert (blank["delete_on_termination"], filled["delete_on_termination"]) == (True, False)
    assert (filled["source_type"], filled["uuid"]) == ("snapshot", SNAPSHOT)


@pytest.mark.parametrize(
    "changes",
    [
        {"fixed_address": "no address"},
        {"user_data": b"x" * 65536},
        {"name": ""},
        {"tags": {"x" * 300: "y"}},
        {"volumes": (NewAttachment(device="/dev/vdb"),)},
        {"sizes": Sizes(memory_mib=129)},
    ],
)
async def test_what_nova_would_not_take_is_invalid_before_it_is_asked(
    nova: StandIn, tmp_path: Path, changes: Mapping[str, Any]
) -> None:
    async with logged_in(nova, tmp_path) as cloud:
        with pytest.raises(Invalid):
            await cloud.instances.create(replace(WISH, **changes))
    assert not nova.requests(f"{COMPUTE}/servers")


async def test_a_server_without_a_host_is_out_of_capacity_with_its_reason_and_taken_away(
    nova: StandIn, tmp_path: Path
) -> None:
    told = {"code": 500, "message": "No valid host was found. There are not enough hosts."}
    waiting = server(status="BUILD", hostId="", **{"OS-EXT-STS:task_state": "scheduling"})
    failed = server(status="ERROR", hostId="", fault=told)
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": waiting}, {"server": failed})
    nova.tell(f"DELETE {COMPUTE}/servers/{ID}", 204)
    async with logged_in(nova, tmp_path) as cloud:
        with pytest.raises(OutOfCapacity, match="not enough hosts"):
            await cloud.instances.create(WISH)
    assert [a.method for a in nova.requests(f"{COMPUTE}/servers/{ID}")][-1] == "DELETE"


async def test_a_quota_that_was_exceeded_meanwhile_is_told_as_such(
    nova: StandIn, tmp_path: Path
) -> None:
    failed = server(status="ERROR", hostId="", fault={"code": 403, "message": "Quota exceeded"})
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": failed})
    nova.tell(f"DELETE {COMPUTE}/servers/{ID}", 204)
    async with logged_in(nova, tmp_path) as cloud:
        with pytest.raises(QuotaExceeded):
            await cloud.instances.create(WISH)


async def test_a_server_that_failed_at_its_host_is_there_with_its_reason(
    nova: StandIn, tmp_path: Path
) -> None:
    failed = server(status="ERROR", fault={"code": 500, "message": "the disk is broken"})
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": failed})
    async with logged_in(nova, tmp_path) as cloud:
        new = await cloud.instances.create(WISH)
    assert (new.state, new.state_reason) == (InstanceState.ERROR, "the disk is broken")


async def test_a_server_whose_answer_was_lost_is_found_by_its_token(
    nova: StandIn, tmp_path: Path
) -> None:
    nova.tell(f"POST {COMPUTE}/servers", dropped)
    stranger = server(id=OTHER_ID, metadata={"nimbi:token": "0" * 32})
    nova.tell(f"GET {COMPUTE}/servers/detail", {"servers": [stranger, server()]})
    async with logged_in(nova, tmp_path) as cloud:
        new = await cloud.instances.create(WISH)
    assert new.id == ID
    assert len([a for a in nova.requests(f"{COMPUTE}/servers") if a.method == "POST"]) == 1
    (looked,) = nova.requests(f"{COMPUTE}/servers/detail")
    assert looked.query["tags"] == f"nimbi-{digest(TOKEN)}"


async def test_many_are_found_by_their_reservation(nova: StandIn, tmp_path: Path) -> None:
    nova.tell(f"POST {COMPUTE}/servers", {"reservation_id": "r-1"})
    nova.tell(f"GET {COMPUTE}/servers", {"servers": [{"id": ID}, {"id": OTHER_ID}]})
    nova.tell(f"GET {COMPUTE}/servers/{OTHER_ID}", {"server": server(id=OTHER_ID)})
    body = await body_of(nova, tmp_path, WISH, count=2)
    told = body["server"]
    assert (told["min_count"], told["max_count"]) == (2, 2)
    assert told["return_reservation_id"]


async def test_an_action_that_comes_too_early_is_repeated(nova: StandIn, tmp_path: Path) -> None:
    busy = server(**{"OS-EXT-STS:task_state": "powering-on"})
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": busy})
    nova.tell(f"POST {COMPUTE}/servers/{ID}/action", fault(409, "conflictingRequest"), 202)
    async with logged_in(nova, tmp_path) as cloud:
        await cloud.instances.stop(ID)
    assert actions(nova) == [{"os-stop": None}] * 2


async def test_an_action_that_the_state_forbids_is_a_conflict(
    nova: StandIn, tmp_path: Path
) -> None:
    nova.tell(f"POST {COMPUTE}/servers/{ID}/action", fault(409, "conflictingRequest"))
    async with logged_in(nova, tmp_path) as cloud:
        with pytest.raises(Conflict):
            await cloud.instances.start(ID)


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        (Instances.start, {"os-start": None}),
        (Instances.stop, {"os-stop": None}),
        (Instances.reboot, {"reboot": {"type": "SOFT"}}),
        (Instances.pause, {"pause": None}),
        (Instances.resume, {"unpause": None}),
        (Instances.rescue, {"rescue": {}}),
        (Instances.unrescue, {"unrescue": None}),
        (Instances.shelve, {"shelve": None}),
        (Instances.lock, {"lock": None}),
        (Instances.unlock, {"unlock": None}),
    ],
)
async def test_operations_are_novas_actions(
    nova: StandIn, tmp_path: Path, operation: Any, action: Mapping[str, Any]
) -> None:
    async with logged_in(nova, tmp_path) as cloud:
        await cloud.call(operation, ID)
    assert actions(nova) == [action]


async def test_a_suspended_instance_resumes(nova: StandIn, tmp_path: Path) -> None:
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": server(status="SUSPENDED")})
    async with logged_in(nova, tmp_path) as cloud:
        await cloud.instances.resume(ID)
    assert actions(nova) == [{"resume": None}]


async def test_a_resizing_is_confirmed(nova: StandIn, tmp_path: Path) -> None:
    stopped, large = server(status="SHUTOFF"), {"id": LARGE}
    states = (
        stopped,
        server(status="RESIZE", **{"OS-EXT-STS:task_state": "resize_prep"}),
        server(status="VERIFY_RESIZE", flavor=large),
        # It is at work on it, and shows no task.
        server(status="VERIFY_RESIZE", flavor=large),
        server(status="SHUTOFF", flavor=large),
    )
    nova.tell(f"GET {COMPUTE}/servers/{ID}", *({"server": state} for state in states))
    async with logged_in(nova, tmp_path) as cloud:
        resized = await cloud.instances.resize(ID, Sizes(memory_mib=256))
    assert resized.hardware_profile_id == LARGE
    assert actions(nova) == [{"resize": {"flavorRef": LARGE}}, {"confirmResize": None}]


async def test_a_resizing_that_finds_no_host_is_out_of_capacity(
    nova: StandIn, tmp_path: Path
) -> None:
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": server(status="SHUTOFF")})
    async with logged_in(nova, tmp_path) as cloud:
        with pytest.raises(OutOfCapacity):
            await cloud.instances.resize(ID, Sizes(memory_mib=256))


async def test_an_unshelving_that_finds_no_host_is_out_of_capacity(
    nova: StandIn, tmp_path: Path
) -> None:
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": server(status="SHELVED_OFFLOADED")})
    async with logged_in(nova, tmp_path) as cloud:
        with pytest.raises(OutOfCapacity):
            await cloud.instances.unshelve(ID)


async def test_the_name_of_a_flavour_tells_its_id(nova: StandIn, tmp_path: Path) -> None:
    """Nova tells no more of it since 2.47."""
    named = server(flavor={"original_name": "ram256", "vcpus": 1})
    nova.tell(f"GET {COMPUTE}/servers/{ID}", {"server": named})
    async with logged_in(nova, tmp_path) as cloud:
        assert (await cloud.instances.get(ID)).hardware_profile_id == LARGE


@pytest.mark.parametrize(
    ("where", "query"),
    [
        (InstanceFilter(realm_id="az"), {"availability_zone": "az"}),
        (InstanceFilter(state=InstanceState.PAUSED), {"status": "PAUSED"}),
        (
            InstanceFilter(changed_since=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
            {"changes-since": "2026-01-02T03:04:05Z"},
        ),
    ],
)
async def test_nova_sifts_what_it_can(
    nova: StandIn, tmp_path: Path, where: InstanceFilter, query: Mapping[str, str]
) -> None:
    async with logged_in(nova, tmp_path) as cloud:
        assert not [i async for i in cloud.each(Instances.page, where=where)]
    (asked,) = nova.requests(f"{COMPUTE}/servers/detail")
    assert query.items() <= asked.query.items()


@pytest.mark.parametrize(
    "told",
    [{"server": {"id": ID}}, {"server": server(created="yesterday")}, {"server": []}],
)
async def test_a_server_that_is_none_is_the_clouds_fault(
    nova: StandIn, tmp_path: Path, told: Told
) -> None:
    nova.tell(f"GET {COMPUTE}/servers/{ID}", told)
    async with logged_in(nova, tmp_path) as cloud:
        with pytest.raises(CloudError):
            await cloud.instances.get(ID)


async def test_a_screen_of_another_kind_is_shown_where_there_is_no_vnc(
    nova: StandIn, tmp_path: Path
) -> None:
    shown = {"remote_console": {"protocol": "spice", "type": "spice-html5", "url": "http://x/"}}
    refusal = fault(400, "badRequest", "Unavailable console type novnc.")
    nova.tell(f"POST {COMPUTE}/servers/{ID}/remote-consoles", refusal, shown)
    async with logged_in(nova, tmp_path) as cloud:
        assert (await cloud.instances.console_link(ID)).protocol == "spice"
