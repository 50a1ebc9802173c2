"""Volumes: what Cinder tells of them, states that pass, kinds, and what a refusal means."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openstack.connection import Connection
from tests.drivers.openstack.told import Canned, Refusal, canned_cloud
from tests.targets.openstack.projects import quiet

from nimbi.driver.storage import Volumes
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, QuotaExceeded, Unsupported
from nimbi.model.volumes import NewVolume, Volume, VolumeAttachment, VolumeState, VolumeTarget

ID = "11111111-2222-4333-8444-000000000001"
OTHER = "11111111-2222-4333-8444-000000000002"
THIRD = "11111111-2222-4333-8444-000000000003"
SERVER = "99999999-2222-4333-8444-000000000001"
FREE: dict[str, Any] = {
    "id": ID,
    "status": "available",
    "size": 1,
    "availability_zone": "nova",
    "created_at": "2026-02-03T04:05:06.000000",
    "name": "data",
    "description": "a ☃ disk",
    "volume_type": "fast",
    "encrypted": False,
    "multiattach": False,
    "attachments": [],
    "metadata": {},
}
AT = {"server_id": SERVER, "device": "/dev/vdb", "attachment_id": OTHER, "volume_id": ID}
USED = FREE | {"status": "in-use", "attachments": [AT]}
LOOK, LIST = f"GET volume /volumes/{ID}", "GET volume /volumes/detail"
MAKE, ACT = "POST volume /volumes", f"POST volume /volumes/{ID}/action"
ATTACH = f"POST compute /servers/{SERVER}/os-volume_attachments"
TYPES, SNAPSHOTS = "GET volume /types", "GET volume /snapshots/detail"
NONE: dict[str, Any] = {"volumes": []}
REFUSED = Refusal(400, "badRequest", "Invalid volume: status must be available")


def volume(**facts: Any) -> dict[str, Any]:
    return {"volume": FREE | facts}


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Canned, Cloud]]:
    async with canned_cloud(tmp_path) as both:
        both[0].tell(LIST, NONE)
        both[0].tell(SNAPSHOTS, {"snapshots": []})
        yield both


async def test_all_that_cinder_tells_of_a_volume_is_read(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, {"volume": USED})
    found = await told.volumes.get(ID)
    assert found == Volume(
        id=ID,
        name="data",
        description="a ☃ disk",
        state=VolumeState.IN_USE,
        size_gib=1,
        created_at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        realm_id="nova",
        kind="fast",
        instance_id=SERVER,
        device="/dev/vdb",
        encrypted=False,
        shared=False,
        attachments=(VolumeAttachment(SERVER, "/dev/vdb"),),
        extra=found.extra,
    )
    assert found.extra["volume_type"] == "fast"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("creating", VolumeState.PENDING),
        ("downloading", VolumeState.PENDING),
        ("available", VolumeState.AVAILABLE),
        ("attaching", VolumeState.PENDING),
        ("in-use", VolumeState.IN_USE),
        ("detaching", VolumeState.IN_USE),
        ("extending", VolumeState.PENDING),
        ("retyping", VolumeState.PENDING),
        ("maintenance", VolumeState.PENDING),
        ("error", VolumeState.ERROR),
        ("error_extending", VolumeState.ERROR),
        ("a status of next year", VolumeState.ERROR),
    ],
)
async def test_every_status_has_a_state(
    told: Cloud, canned: Canned, status: str, state: VolumeState
) -> None:
    canned.tell(LOOK, volume(status=status))
    assert (await told.volumes.get(ID)).state is state


async def test_an_attached_volume_that_grows_is_in_use(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, {"volume": USED | {"status": "extending"}})
    assert (await told.volumes.get(ID)).state is VolumeState.IN_USE


async def test_a_volume_in_error_tells_why(told: Cloud, canned: Canned) -> None:
    said = {"resource_uuid": ID, "user_message": "schedule allocate volume: no room"}
    canned.tell("GET volume /messages", {"messages": [said]})
    canned.tell(LOOK, volume(status="error"))
    canned.tell(LIST, {"volumes": [FREE | {"status": "error"}, USED | {"id": OTHER}]})
    assert (await told.volumes.get(ID)).state_reason == "schedule allocate volume: no room"
    page = await told.volumes.page(None, 10)
    assert [each.state_reason for each in page.items] == [said["user_message"], None]


async def test_a_role_that_may_read_no_messages_sees_its_volumes(
    told: Cloud, canned: Canned
) -> None:
    canned.tell("GET volume /messages", Refusal(403, "forbidden"))
    canned.tell(LOOK, volume(status="error"))
    assert (await told.volumes.get(ID)).state_reason is None


@pytest.mark.parametrize("status", ["deleting", "deleted"])
async def test_a_volume_on_its_way_out_is_gone(told: Cloud, canned: Canned, status: str) -> None:
    canned.tell(LOOK, volume(status=status))
    canned.tell(LIST, {"volumes": [FREE | {"status": status}]})
    with pytest.raises(NotFound):
        await told.volumes.get(ID)
    assert (await told.volumes.page(None, 10)).items == ()
    with pytest.raises(NotFound):
        await told.volumes.destroy(ID)


async def test_a_page_goes_on_after_a_thing_that_is_gone(told: Cloud, canned: Canned) -> None:
    canned.tell(LIST, {"volumes": [FREE, FREE | {"id": OTHER}]})
    page = await told.volumes.page(None, 1)
    assert [each.id for each in page.items] == [ID]
    left = {"volumes": [FREE | {"id": OTHER}, FREE | {"id": THIRD}]}
    canned.tell(LIST, Refusal(404, "itemNotFound"), left)
    page = await told.volumes.page(page.next, 2)
    assert ([each.id for each in page.items], page.next) == ([OTHER, THIRD], None)


async def test_a_wish_is_sent_in_full(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, volume(status="creating"))
    wish = NewVolume(
        token="t", size_gib=9.5, realm_id="nova", name="data", description="a disk", kind="fast"
    )
    assert (await told.volumes.create(wish)).state is VolumeState.PENDING
    sent = canned.body(MAKE)["volume"]
    token = sent["metadata"]["nimbi:token"]
    assert sent == {
        "size": 10,
        "availability_zone": "nova",
        "name": "data",
        "description": "a disk",
        "volume_type": "fast",
        "metadata": {"nimbi:token": token},
    }
    assert canned.last(LIST).query["metadata"] == f"{{'nimbi:token': '{token}'}}"


async def test_a_wish_that_was_granted_is_found_again(told: Cloud, canned: Canned) -> None:
    canned.tell(LIST, {"volumes": [FREE]})
    assert (await told.volumes.create(NewVolume(token="t", size_gib=1))).id == ID
    assert MAKE not in canned.requests


async def test_a_volume_whose_answer_was_lost_is_not_made_twice(
    told: Cloud, canned: Canned
) -> None:
    canned.tell(LIST, NONE, {"volumes": [FREE]})
    canned.tell(MAKE, Refusal(504))
    assert (await told.volumes.create(NewVolume(size_gib=1))).id == ID
    assert canned.requests.count(MAKE) == 1


@pytest.mark.parametrize(
    "wish",
    [
        NewVolume(size_gib=0),
        NewVolume(size_gib=2**31),
        NewVolume(size_gib=float("nan")),
        NewVolume(name=""),
        NewVolume(name=" two  words "),
        NewVolume(name="x" * 256),
        NewVolume(name="𝕟𝕚𝕞𝕓𝕚"),
        NewVolume(description="\x00"),
        NewVolume(kind=""),
        NewVolume(snapshot_id=ID, image_id=OTHER),
    ],
)
async def test_what_no_volume_can_be_is_refused_before_anything_is_sent(
    told: Cloud, canned: Canned, wish: NewVolume
) -> None:
    with pytest.raises(Invalid):
        await told.volumes.create(wish)
    assert canned.requests == []


async def test_a_promise_of_speed_is_refused(told: Cloud) -> None:
    with pytest.raises(Unsupported):
        await told.volumes.create(NewVolume(size_gib=1, iops=100))


async def test_a_volume_of_an_image_has_room_for_it(told: Cloud, canned: Canned) -> None:
    image = {"id": OTHER, "size": 2**20, "virtual_size": 3 * 2**30 + 1, "min_disk": 2}
    canned.tell(f"GET image /images/{OTHER}", image)
    canned.tell(MAKE, volume(status="creating"))
    await told.volumes.create(NewVolume(image_id=OTHER))
    sent = canned.body(MAKE)["volume"]
    assert (sent["imageRef"], sent["size"]) == (OTHER, 4)


async def test_an_unknown_image_is_not_found(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, Refusal(400, "badRequest", "Invalid image identifier"))
    with pytest.raises(NotFound):
        await told.volumes.create(NewVolume(size_gib=1, image_id=OTHER))


async def test_a_snapshot_that_is_still_made_is_waited_for(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, REFUSED, volume(status="creating"))
    canned.tell(f"GET volume /snapshots/{OTHER}", {"snapshot": {"status": "creating"}})
    assert (await told.volumes.create(NewVolume(snapshot_id=OTHER))).id == ID


async def test_a_snapshot_in_error_is_a_conflict(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, REFUSED)
    canned.tell(f"GET volume /snapshots/{OTHER}", {"snapshot": {"status": "error"}})
    with pytest.raises(Conflict):
        await told.volumes.create(NewVolume(snapshot_id=OTHER))


async def test_a_kind_that_cinder_does_not_know_is_invalid(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, Refusal(404, "itemNotFound", "Volume type x could not be found."))
    with pytest.raises(Invalid):
        await told.volumes.create(NewVolume(size_gib=1, kind="x"))


async def test_a_quota_is_no_throttling(told: Cloud, canned: Canned) -> None:
    canned.tell(MAKE, Refusal(413, "overLimit", "VolumeSizeExceedsAvailableQuota", 0))
    with pytest.raises(QuotaExceeded):
        await told.volumes.create(NewVolume(size_gib=1))
    assert canned.requests.count(MAKE) == 1


KINDS = {
    "volume_types": [
        {"name": "fast", "extra_specs": {}},
        {"name": "many", "extra_specs": {"multiattach": "<is> True"}},
    ]
}


@pytest.mark.parametrize("kind", [None, "many"])
async def test_a_shared_volume_is_of_a_kind_that_can_be_shared(
    told: Cloud, canned: Canned, kind: str | None
) -> None:
    canned.tell(TYPES, KINDS)
    canned.tell(MAKE, volume(status="creating", multiattach=True))
    assert (await told.volumes.create(NewVolume(shared=True, kind=kind))).shared
    assert canned.body(MAKE)["volume"]["volume_type"] == "many"


@pytest.mark.parametrize("kind", ["fast", "no-such-kind"])
async def test_a_kind_that_cannot_be_shared_is_invalid(
    told: Cloud, canned: Canned, kind: str
) -> None:
    canned.tell(TYPES, KINDS)
    with pytest.raises(Invalid):
        await told.volumes.create(NewVolume(shared=True, kind=kind))


async def test_a_cloud_without_such_a_kind_has_no_shared_volumes(
    told: Cloud, canned: Canned
) -> None:
    canned.tell(TYPES, {"volume_types": [{"name": "fast", "extra_specs": {}}]})
    with pytest.raises(Unsupported):
        await told.volumes.create(NewVolume(shared=True))
    assert MAKE not in canned.requests


async def test_attaching_tells_the_device_that_nova_chose(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, volume())
    canned.tell(ATTACH, {"volumeAttachment": AT})
    attached = await told.volumes.attach(ID, VolumeTarget(instance_id=SERVER))
    assert (attached.instance_id, attached.device) == (SERVER, "/dev/vdb")
    assert canned.body(ATTACH) == {"volumeAttachment": {"volumeId": ID}}


async def test_another_device_than_the_one_asked_for_is_taken_off_again(
    told: Cloud, canned: Canned
) -> None:
    leaving = {"volume": USED | {"status": "detaching"}}
    canned.tell(LOOK, volume(), volume(status="attaching"), leaving, volume())
    canned.tell(ATTACH, {"volumeAttachment": AT})
    detach = f"DELETE compute /servers/{SERVER}/os-volume_attachments/{ID}"
    canned.tell(detach, REFUSED, None)
    target = VolumeTarget(instance_id=SERVER, device="/dev/vdx")
    with pytest.raises(Invalid):
        await told.volumes.attach(ID, target)
    assert canned.requests[-3:] == [detach, LOOK, LOOK]


async def test_attaching_waits_until_the_volume_is_free(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, {"volume": USED | {"status": "detaching"}}, volume())
    canned.tell(ATTACH, {"volumeAttachment": AT})
    assert (await told.volumes.attach(ID, VolumeTarget(instance_id=SERVER))).instance_id == SERVER


@pytest.mark.parametrize("shared", [True, False])
async def test_only_a_shared_volume_is_attached_twice(
    told: Cloud, canned: Canned, *, shared: bool
) -> None:
    at = AT | {"server_id": OTHER}
    canned.tell(LOOK, {"volume": USED | {"attachments": [at], "multiattach": shared}})
    canned.tell(ATTACH, {"volumeAttachment": AT})
    target = VolumeTarget(instance_id=SERVER)
    if not shared:
        with pytest.raises(Conflict):
            await told.volumes.attach(ID, target)
        return
    attached = await told.volumes.attach(ID, target)
    assert [each.instance_id for each in attached.attachments] == [OTHER, SERVER]


async def test_a_volume_of_several_instances_is_detached_from_the_one_that_is_named(
    told: Cloud, canned: Canned
) -> None:
    canned.tell(LOOK, {"volume": USED | {"attachments": [AT, AT | {"server_id": OTHER}]}})
    with pytest.raises(Conflict):
        await told.volumes.detach(ID)
    with pytest.raises(Conflict):
        await told.volumes.detach(ID, THIRD)
    path = f"DELETE compute /servers/{OTHER}/os-volume_attachments/{ID}"
    canned.tell(path, None)
    await told.volumes.detach(ID, OTHER)
    assert canned.requests[-1] == path


async def test_detaching_waits_until_no_snapshot_is_merged(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, {"volume": USED})
    canned.tell(SNAPSHOTS, {"snapshots": [{"status": "deleting"}]}, {"snapshots": []})
    path = f"DELETE compute /servers/{SERVER}/os-volume_attachments/{ID}"
    canned.tell(path, None)
    await told.volumes.detach(ID)
    assert canned.requests == [LOOK, SNAPSHOTS, SNAPSHOTS, path]


async def test_the_disk_that_an_instance_boots_from_stays(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, {"volume": USED})
    path = f"DELETE compute /servers/{SERVER}/os-volume_attachments/{ID}"
    canned.tell(path, Refusal(403, "forbidden", "Cannot detach a root device volume"))
    with pytest.raises(Conflict):
        await told.volumes.detach(ID)


async def test_a_volume_is_destroyed_when_it_is_made(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, volume(status="creating"), volume())
    canned.tell(f"DELETE volume /volumes/{ID}", None)
    await told.volumes.destroy(ID)
    assert canned.requests == [LOOK, LOOK, f"DELETE volume /volumes/{ID}"]


async def test_snapshots_on_their_way_out_are_waited_for(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, volume())
    canned.tell(f"DELETE volume /volumes/{ID}", REFUSED, None)
    canned.tell(SNAPSHOTS, {"snapshots": [{"status": "deleting"}]})
    await told.volumes.destroy(ID)


async def test_a_volume_with_snapshots_is_a_conflict(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, volume())
    canned.tell(f"DELETE volume /volumes/{ID}", REFUSED)
    canned.tell(SNAPSHOTS, {"snapshots": [{"status": "available"}]})
    with pytest.raises(Conflict):
        await told.volumes.destroy(ID)


async def test_a_volume_that_grew_already_grows_no_more(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, volume(status="extending"), volume(size=3))
    assert (await told.volumes.resize(ID, 3)).size_gib == 3
    assert ACT not in canned.requests


async def test_growing_that_a_state_forbids_is_a_conflict(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, volume())
    canned.tell(ACT, REFUSED)
    with pytest.raises(Conflict):
        await told.volumes.resize(ID, 3)


async def test_a_volume_becomes_another_kind_where_it_must_move(
    told: Cloud, canned: Canned
) -> None:
    canned.tell(LOOK, volume())
    canned.tell(TYPES, KINDS)
    canned.tell(ACT, None)
    await told.volumes.retype(ID, "many")
    wish = {"new_type": "many", "migration_policy": "on-demand"}
    assert canned.body(ACT) == {"os-retype": wish}


async def test_a_volume_that_is_of_the_kind_already_stays_so(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, volume())
    assert (await told.volumes.retype(ID, "fast")).kind == "fast"
    with pytest.raises(Invalid):
        canned.tell(TYPES, KINDS)
        await told.volumes.retype(ID, "no-such-kind")
    assert ACT not in canned.requests


@pytest.fixture
def new_kind(admin: Connection) -> Iterator[Callable[..., str]]:
    """Make kinds of volumes, that are gone after the test."""
    made: list[Any] = []

    def make(**specs: str) -> str:
        with quiet():
            kind = admin.block_storage.create_type(name=f"k-{uuid4()}", extra_specs=specs)
        made.append(kind)
        return str(kind.name)

    yield make
    names = {kind.name for kind in made}
    with quiet():
        # What is gone for us may still be on its way out.
        for each in admin.block_storage.volumes(all_projects=True):
            if each.volume_type in names:
                admin.block_storage.wait_for_delete(each)
        for kind in made:
            admin.block_storage.delete_type(kind)


async def test_a_volume_of_a_kind_for_which_there_is_no_place_says_so(
    cloud: Cloud, new_kind: Callable[..., str]
) -> None:
    kind = new_kind(volume_backend_name="nowhere")
    made = await cloud.volumes.create(NewVolume(size_gib=1, kind=kind))
    failed = await cloud.wait(Volumes.get, made.id, until={VolumeState.ERROR})
    assert "weighted backend" in (failed.state_reason or "")
    await cloud.volumes.destroy(made.id)
    await cloud.wait_gone(Volumes.get, made.id)


async def test_a_volume_becomes_another_kind(cloud: Cloud, new_kind: Callable[..., str]) -> None:
    kind = new_kind()
    made = await cloud.volumes.create(NewVolume(size_gib=1))
    try:
        await cloud.wait(Volumes.get, made.id, until={VolumeState.AVAILABLE})
        await cloud.volumes.retype(made.id, kind)
        done = await cloud.wait(Volumes.get, made.id, until={VolumeState.AVAILABLE})
        assert done.kind == kind
    finally:
        await cloud.volumes.destroy(made.id)
        await cloud.wait_gone(Volumes.get, made.id)


async def test_a_volume_of_an_image_can_be_booted_from(cloud: Cloud, oracle: Connection) -> None:
    with quiet():
        image = oracle.image.find_image("tiny", ignore_missing=False)
    made = await cloud.volumes.create(NewVolume(image_id=image.id, name="system"))
    try:
        await cloud.wait(
            Volumes.get, made.id, until={VolumeState.AVAILABLE}, failing={VolumeState.ERROR}
        )
        with quiet():
            seen = oracle.block_storage.get_volume(made.id)
        assert (seen.is_bootable, seen.name, seen.size) == (True, "system", 1)
    finally:
        await cloud.volumes.destroy(made.id)


async def test_more_than_the_quota_is_refused(cloud: Cloud) -> None:
    with pytest.raises(QuotaExceeded):
        await cloud.volumes.create(NewVolume(size_gib=100_000))
