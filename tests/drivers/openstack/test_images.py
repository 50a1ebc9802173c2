"""Images: what Glance tells of them, bytes up and down, sharing, and images of instances."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.drivers.openstack.glance import (
    ACT,
    DISK,
    DROP,
    FILE,
    FORMATS,
    ID,
    LIST,
    LOOK,
    MAKE,
    MEMBERS,
    OTHER,
    SERVER,
    SNAPSHOT,
    Glance,
    chunks,
    whole,
)
from tests.drivers.openstack.stand_in import PROJECT, Asked, dropped
from tests.drivers.openstack.told import Answer, Canned, Refusal, canned_cloud

from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import (
    CloudError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    QuotaExceeded,
    UnknownOutcome,
)
from nimbi.model.images import (
    Image,
    ImageFilter,
    ImageState,
    NewImage,
    NewUpload,
    Visibility,
)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Canned, Cloud]]:
    async with canned_cloud(tmp_path) as both:
        both[0].tell(LIST, {"images": []})
        yield both


async def test_all_that_glance_tells_of_an_image_is_read(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, DISK)
    found = await told.images.get(ID)
    assert found == Image(
        id=ID,
        name="system",
        description="a ☃ disk",
        owner_id=PROJECT,
        architecture="x86_64",
        state=ImageState.AVAILABLE,
        created_at=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC),
        visibility=Visibility.PRIVATE,
        format="qcow2",
        extra=found.extra,
    )
    assert found.extra["container_format"] == "bare"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", ImageState.PENDING),
        ("saving", ImageState.PENDING),
        ("importing", ImageState.PENDING),
        ("active", ImageState.AVAILABLE),
        ("deactivated", ImageState.ERROR),
        ("killed", ImageState.ERROR),
    ],
)
async def test_every_status_has_a_state(
    told: Cloud, canned: Canned, status: str, state: ImageState
) -> None:
    canned.tell(LOOK, DISK | {"status": status})
    assert (await told.images.get(ID)).state is state


async def test_an_image_on_its_way_out_is_gone(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, DISK | {"status": "pending_delete"})
    canned.tell(LIST, {"images": [DISK | {"status": "pending_delete"}]})
    with pytest.raises(NotFound):
        await told.images.get(ID)
    assert (await told.images.page(None, 10)).items == ()


@pytest.mark.parametrize(
    ("where", "query"),
    [
        (ImageFilter(owner_id="self"), {"owner": PROJECT}),
        (ImageFilter(owner_id="other"), {"owner": "other"}),
        (ImageFilter(name="system"), {"name": "system"}),
        (ImageFilter(architecture="x86_64"), {"architecture": "x86_64"}),
        (ImageFilter(visibility=Visibility.COMMUNITY), {"visibility": "community"}),
        (
            ImageFilter(visibility=Visibility.SHARED),
            {"visibility": "shared", "member_status": "all"},
        ),
    ],
)
async def test_glance_itself_looks_for_what_is_wanted(
    told: Cloud, canned: Canned, where: ImageFilter, query: dict[str, str]
) -> None:
    canned.tell(LIST, {"images": [DISK]})
    assert [each.id for each in (await told.images.page(None, 10, where)).items] == [ID]
    assert query.items() <= canned.last(LIST).query.items()


@pytest.mark.parametrize("name", ["sys*", "system,x", 'in:"system"', "SYSTEM"])
async def test_names_that_glance_compares_otherwise_are_compared_here(
    told: Cloud, canned: Canned, name: str
) -> None:
    names = ["system", "system,x", 'in:"system"', "SYSTEM"]
    found = [DISK | {"id": f"{ID[:-1]}{n}", "name": each} for n, each in enumerate(names)]
    canned.tell(LIST, {"images": found})
    page = await told.images.page(None, 10, ImageFilter(name=name))
    expected = ["system", "system,x"] if name == "sys*" else [name]
    assert [each.name for each in page.items] == expected


async def test_pages_follow_the_links_of_glance(told: Cloud, canned: Canned) -> None:
    after = f"/v2/images?limit=1&marker={ID}"
    canned.tell(LIST, {"images": [DISK], "next": after}, {"images": [DISK | {"id": OTHER}]})
    page = await told.images.page(None, 10)
    assert [each.id for each in page.items] == [ID, OTHER]
    assert canned.last(LIST).query["marker"] == ID


@pytest.mark.parametrize("format", FORMATS)
async def test_an_image_is_made_of_bytes_in_every_format(
    told: Cloud, canned: Canned, format: str
) -> None:
    glance = Glance(canned)
    wish = NewUpload(
        name="mine",
        format=format,
        architecture="aarch64",
        visibility=Visibility.COMMUNITY,
        properties={"os_distro": "debian", "min_disk": "3"},
        size_bytes=4,
    )
    made = await told.images.upload(wish, chunks(b"di", b"sk"))
    assert (made.state, made.format, made.visibility) == (
        ImageState.AVAILABLE,
        format,
        Visibility.COMMUNITY,
    )
    sent = canned.body(MAKE)
    container = format if format in {"ami", "ari", "aki"} else "bare"
    assert sent == {
        "id": made.id,
        "name": "mine",
        "disk_format": format,
        "container_format": container,
        "architecture": "aarch64",
        "visibility": "community",
        "os_distro": "debian",
        "min_disk": 3,
        "tags": sent["tags"],
    }
    put = canned.last(f"PUT image /images/{made.id}/file")
    assert (put.body, put.headers["Content-Length"]) == (b"disk", "4")
    assert glance.removed == []


async def test_an_image_is_private_unless_told_otherwise(told: Cloud, canned: Canned) -> None:
    Glance(canned)
    made = await told.images.upload(NewUpload(name="mine", format="raw"), chunks(b"disk"))
    assert made.visibility is Visibility.PRIVATE


async def test_bytes_that_came_up_once_do_not_come_up_again(told: Cloud, canned: Canned) -> None:
    canned.tell(LIST, {"images": [DISK]})
    wish = NewUpload(token="t", name="mine", format="raw")
    assert (await told.images.upload(wish, chunks(b"disk"))).id == ID
    assert MAKE not in canned.requests
    canned.tell(LIST, {"images": [DISK | {"status": "saving"}]})
    with pytest.raises(Conflict):
        await told.images.upload(wish, chunks(b"disk"))


async def test_a_torn_upload_leaves_nothing(told: Cloud, canned: Canned) -> None:
    glance = Glance(canned)

    async def torn() -> AsyncIterator[bytes]:
        yield b"di"
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        await told.images.upload(NewUpload(name="mine", format="raw"), torn())
    assert glance.removed == [glance.image["id"]]


@pytest.mark.parametrize("size_bytes", [3, 5])
async def test_an_upload_of_another_size_than_told_leaves_nothing(
    told: Cloud, canned: Canned, size_bytes: int
) -> None:
    glance = Glance(canned)
    wish = NewUpload(name="mine", format="raw", size_bytes=size_bytes)
    with pytest.raises(Invalid):
        await told.images.upload(wish, chunks(b"di", b"sk"))
    assert glance.removed == [glance.image["id"]]


async def test_an_upload_that_is_given_up_leaves_nothing(told: Cloud, canned: Canned) -> None:
    glance = Glance(canned)
    begun, never = asyncio.Event(), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"di"
        begun.set()
        await never.wait()

    task = asyncio.create_task(told.images.upload(NewUpload(name="mine", format="raw"), stuck()))
    await begun.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert glance.removed == [glance.image["id"]]


async def test_bytes_that_arrive_otherwise_leave_nothing(told: Cloud, canned: Canned) -> None:
    glance = Glance(canned, os_hash_value="0" * 128)
    with pytest.raises(CloudError, match="checksum"):
        await told.images.upload(NewUpload(name="mine", format="raw"), chunks(b"disk"))
    assert glance.removed == [glance.image["id"]]


async def test_an_upload_whose_answer_was_lost_is_looked_at(told: Cloud, canned: Canned) -> None:
    glance = Glance(canned)
    put = glance.put

    def taken(asked: Asked) -> web.Response:
        put(asked)
        return dropped(asked)

    glance.put = taken  # type: ignore[method-assign]
    made = await told.images.upload(NewUpload(name="mine", format="raw"), chunks(b"disk"))
    assert (made.id, glance.removed) == (glance.image["id"], [])


async def test_an_image_whose_answer_was_lost_is_taken_away(told: Cloud, canned: Canned) -> None:
    glance = Glance(canned)

    def made(asked: Asked) -> web.Response:
        glance.make(asked)
        return dropped(asked)

    canned.tell(MAKE, made)
    with pytest.raises(UnknownOutcome):
        await told.images.upload(NewUpload(name="mine", format="raw"), chunks(b"disk"))
    assert glance.removed == [glance.image["id"]]


@pytest.mark.parametrize(
    ("status", "error"), [(400, Invalid), (403, Forbidden), (413, QuotaExceeded)]
)
async def test_an_upload_that_is_refused_reads_nothing(
    told: Cloud, canned: Canned, status: int, error: type[CloudError]
) -> None:
    canned.tell(MAKE, Refusal(status))

    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(error):
        await told.images.upload(NewUpload(name="mine", format="raw"), unread())


@pytest.mark.parametrize(
    "wish",
    [
        NewUpload(name="", format="raw"),
        NewUpload(name="\U0001d55f", format="raw"),
        NewUpload(name="x", format="raw", properties={"status": "active"}),
        NewUpload(name="x", format="raw", properties={"": "a"}),
        NewUpload(name="x", format="raw", properties={"a": "\U0001d55f"}),
        NewUpload(name="x", format="raw", properties={"min_ram": "much"}),
    ],
)
async def test_what_no_image_can_be_is_refused_before_anything_is_sent(
    told: Cloud, canned: Canned, wish: NewUpload
) -> None:
    with pytest.raises(Invalid):
        await told.images.upload(wish, chunks(b"disk"))
    assert canned.requests == []


@pytest.mark.parametrize(
    "checksum",
    [
        {},
        {"os_hash_algo": None, "os_hash_value": None, "checksum": hashlib.md5(b"disk").hexdigest()},
        {"os_hash_algo": "of next year", "os_hash_value": "0"},
    ],
)
async def test_bytes_come_down_as_they_are(
    told: Cloud, canned: Canned, checksum: dict[str, Any]
) -> None:
    canned.tell(LOOK, DISK | checksum)
    canned.tell(FILE, web.Response(body=b"disk"))
    assert await whole(told, ID) == b"disk"


@pytest.mark.parametrize(
    "wrong",
    [
        {"os_hash_value": "0" * 128},
        {"size": 5},
        {"os_hash_algo": None, "os_hash_value": None, "checksum": "0" * 32},
    ],
)
async def test_bytes_that_differ_from_their_checksum_are_an_error_at_their_end(
    told: Cloud, canned: Canned, wrong: dict[str, Any]
) -> None:
    canned.tell(LOOK, DISK | wrong)
    canned.tell(FILE, web.Response(body=b"disk"))
    with pytest.raises(CloudError, match="checksum"):
        await whole(told, ID)


async def test_a_reader_may_stop(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, DISK | {"size": 2**20})
    canned.tell(FILE, web.Response(body=b"x" * 2**20))
    content = await told.images.read(ID)
    assert (await anext(content.chunks))[:1] == b"x"
    await content.chunks.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "queued", "size": None},
        {"size": 0, "block_device_mapping": json.dumps([{"snapshot_id": SNAPSHOT}])},
    ],
)
async def test_an_image_without_bytes_is_a_conflict(
    told: Cloud, canned: Canned, facts: dict[str, Any]
) -> None:
    canned.tell(LOOK, DISK | facts)
    with pytest.raises(Conflict):
        await told.images.read(ID)


async def test_a_private_image_comes_to_be_shared(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, DISK)
    change = f"PATCH image /images/{ID}"
    canned.tell(change, DISK | {"visibility": "shared"})
    canned.tell(MEMBERS, {"status": "pending"})
    assert (await told.images.share(ID, "other")).visibility is Visibility.SHARED
    assert canned.body(change)[0]["value"] == "shared"
    assert canned.body(MEMBERS) == {"member": "other"}


async def test_who_shares_it_already_keeps_it(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, DISK | {"visibility": "shared"})
    canned.tell(MEMBERS, Refusal(409))
    assert (await told.images.share(ID, "other")).visibility is Visibility.SHARED


@pytest.mark.parametrize("visibility", ["public", "community"])
async def test_what_everybody_may_use_is_not_shared(
    told: Cloud, canned: Canned, visibility: str
) -> None:
    canned.tell(LOOK, DISK | {"visibility": visibility})
    with pytest.raises(Conflict):
        await told.images.share(ID, "other")


@pytest.mark.parametrize("project", ["", "a b", "☃", "a\nb", "x" * 256])
async def test_what_can_be_no_project_is_invalid(told: Cloud, canned: Canned, project: str) -> None:
    canned.tell(LOOK, DISK)
    with pytest.raises(Invalid):
        await told.images.share(ID, project)
    assert canned.requests == [LOOK]


@pytest.mark.parametrize("visibility", ["shared", "private", "public"])
async def test_sharing_that_never_was_cannot_end(
    told: Cloud, canned: Canned, visibility: str
) -> None:
    canned.tell(LOOK, DISK | {"visibility": visibility})
    with pytest.raises(NotFound):
        await told.images.unshare(ID, "other")


NOVA: list[Answer] = [
    {"image_id": ID},
    web.Response(status=202, headers={"Location": f"http://glance/v2/images/{ID}"}),
]


@pytest.mark.parametrize("answer", NOVA, ids=["2.45", "2.1"])
async def test_an_image_of_an_instance_is_one_of_novas(
    told: Cloud, canned: Canned, answer: Answer
) -> None:
    canned.tell(ACT, answer)
    canned.tell(LOOK, DISK | {"status": "queued"})
    wish = NewImage(instance_id=SERVER, name="mine", description="a disk")
    made = await told.images.create(wish)
    assert (made.id, made.state) == (ID, ImageState.PENDING)
    sent = canned.body(ACT)["createImage"]
    token = sent["metadata"]["nimbi:token"]
    assert sent == {"name": "mine", "metadata": {"nimbi:token": token, "description": "a disk"}}
    assert canned.last(LIST).query["nimbi:token"] == token


async def test_an_image_whose_creation_was_lost_is_not_made_twice(
    told: Cloud, canned: Canned
) -> None:
    mine = DISK | {"instance_uuid": SERVER}
    others = DISK | {"id": OTHER, "instance_uuid": OTHER}
    canned.tell(LIST, {"images": []}, {"images": [others, mine]})
    canned.tell(ACT, dropped)
    assert (await told.images.create(NewImage(instance_id=SERVER))).id == ID
    assert canned.requests.count(ACT) == 1


async def test_an_instance_at_work_is_waited_for(told: Cloud, canned: Canned) -> None:
    canned.tell(ACT, Refusal(409, "conflictingRequest"), {"image_id": ID})
    busy = {"status": "ACTIVE", "OS-EXT-STS:task_state": "image_snapshot"}
    canned.tell(f"GET compute /servers/{SERVER}", {"server": busy})
    canned.tell(LOOK, DISK)
    assert (await told.images.create(NewImage(instance_id=SERVER))).id == ID


SNAPSHOTS = json.dumps([{"snapshot_id": SNAPSHOT}, {"snapshot_id": None}])
MADE_HERE = DISK | {"nimbi:token": "t", "block_device_mapping": SNAPSHOTS}
DROP_SNAPSHOT = f"DELETE volume /snapshots/{SNAPSHOT}"


async def test_an_image_of_snapshots_goes_with_them(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, MADE_HERE)
    canned.tell(DROP_SNAPSHOT, None)
    canned.tell(DROP, web.Response(status=204))
    assert (await told.images.get(ID)).root_type == "persistent"
    await told.images.destroy(ID)
    assert canned.requests[-2:] == [DROP_SNAPSHOT, DROP]


async def test_snapshots_of_an_image_are_waited_for(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, MADE_HERE)
    canned.tell(DROP_SNAPSHOT, Refusal(400, "badRequest"), None)
    canned.tell(f"GET volume /snapshots/{SNAPSHOT}", {"snapshot": {"status": "creating"}})
    canned.tell(DROP, web.Response(status=204))
    await told.images.destroy(ID)
    assert canned.requests[-2:] == [DROP_SNAPSHOT, DROP]


async def test_an_image_whose_snapshots_are_gone_goes_too(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, MADE_HERE)
    canned.tell(DROP, web.Response(status=204))
    await told.images.destroy(ID)
    assert canned.requests[-1] == DROP


async def test_snapshots_of_an_image_that_others_made_stay(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, DISK | {"block_device_mapping": SNAPSHOTS})
    canned.tell(DROP, web.Response(status=204))
    await told.images.destroy(ID)
    assert canned.requests == [LOOK, DROP]


async def test_a_protected_image_keeps_its_snapshots(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, MADE_HERE | {"protected": True})
    with pytest.raises(Forbidden):
        await told.images.destroy(ID)
    assert canned.requests == [LOOK]


async def test_an_image_in_use_is_a_conflict(told: Cloud, canned: Canned) -> None:
    canned.tell(LOOK, DISK)
    canned.tell(DROP, Refusal(409))
    with pytest.raises(Conflict):
        await told.images.destroy(ID)
