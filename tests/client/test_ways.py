"""What holds for a client whatever way its requests take."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.client.desk import WAYS, Desk, Reply, Way, opened, problem

from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.model.buckets import BlobCondition, ByteRange, NewBlob
from nimbi.model.errors import NotFound, Throttled, Unauthorized, UnknownOutcome, Unsupported
from nimbi.model.instances import InstanceState, NewInstance

INSTANCE = {
    "account": "aws",
    "id": "i-1",
    "name": "web",
    "owner_id": None,
    "image_id": "img",
    "realm_id": None,
    "hardware_profile_id": None,
    "state": "running",
}


@pytest.fixture
def desk() -> Desk:
    return Desk(Reply(200, INSTANCE))


@pytest.fixture(params=WAYS)
async def way(request: pytest.FixtureRequest, desk: Desk) -> AsyncIterator[Way]:
    async with opened(request.param, desk) as found:
        yield found


async def test_a_call_is_a_request_with_the_token_and_its_answer_a_struct(
    way: Way, desk: Desk
) -> None:
    found = await way.do(lambda client: client.account("aws").instances.get("i/1"))
    assert (found.id, found.name, found.state) == ("i-1", "web", InstanceState.RUNNING)
    [asked] = desk.asked
    assert (asked.method, asked.target) == ("GET", "/v1/accounts/aws/instances/i%2F1")
    assert asked.headers["authorization"] == "Bearer t0ken"


async def test_a_wish_is_told_without_what_it_leaves_open(way: Way, desk: Desk) -> None:
    new = NewInstance(image_id="img", tags={"owner": "Ännchen"}, user_data=b"\x00")
    await way.do(lambda client: client.account("aws").instances.create(new))
    [asked] = desk.asked
    assert asked.json == {"image_id": "img", "tags": {"owner": "Ännchen"}, "user_data": "AA=="}
    assert asked.headers["content-type"] == "application/json"
    assert len(asked.headers["idempotency-key"]) == 32


async def test_a_token_of_a_wish_is_the_idempotency_key(way: Way, desk: Desk) -> None:
    new = NewInstance(image_id="img", token="mine")
    await way.do(lambda client: client.account("aws").instances.create(new))
    assert desk.asked[0].headers["idempotency-key"] == "mine"
    assert "token" not in desk.asked[0].json


async def test_an_operation_without_an_answer_gives_none(way: Way, desk: Desk) -> None:
    desk.replies = [Reply(204)]
    assert await way.do(lambda client: client.account("aws").instances.start("i-1")) is None
    assert desk.asked[0].target == "/v1/accounts/aws/instances/i-1/start"


async def test_a_problem_is_the_error_of_its_type_with_the_id_of_the_request(
    way: Way, desk: Desk
) -> None:
    desk.replies = [problem("not_found", 404, request_id="r-7")]
    with pytest.raises(NotFound, match="it is not_found") as told:
        await way.do(lambda client: client.account("aws").instances.get("i-1"))
    assert told.value.request_id == "r-7"


async def test_what_an_error_carries_is_there(way: Way, desk: Desk) -> None:
    desk.replies = [problem("unsupported", 501, capability="instances.pause")]
    with pytest.raises(Unsupported) as unsupported:
        await way.do(lambda client: client.account("aws").instances.pause("i-1"))
    assert unsupported.value.capability == "instances.pause"
    desk.replies = [problem("throttled", 429, retry_after_s=900.5)]
    with pytest.raises(Throttled) as throttled:
        await way.do(lambda client: client.account("aws").instances.pause("i-1"))
    assert throttled.value.retry_after_s == 900.5


async def test_what_is_throttled_for_a_moment_is_asked_again_with_the_same_key(
    way: Way, desk: Desk
) -> None:
    desk.replies = [problem("throttled", 429, retry_after_s=0), Reply(201, INSTANCE)]
    await way.do(lambda client: client.account("aws").instances.create(NewInstance(image_id="img")))
    first, second = desk.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body


async def test_all_pages_are_one_list(way: Way, desk: Desk) -> None:
    desk.replies = [
        Reply(200, {"items": [INSTANCE], "next": "m&1"}),
        Reply(200, {"items": [INSTANCE | {"id": "i-2"}], "next": None}),
    ]
    found = await way.all(lambda client: client.account("aws").each(Instances.page))
    assert [thing.id for thing in found] == ["i-1", "i-2"]
    assert desk.asked[1].target.endswith("/instances?marker=m%261&limit=1000")


async def test_a_blob_comes_as_it_is_with_its_facts(way: Way, desk: Desk) -> None:
    desk.replies = [
        Reply(
            206,
            chunks=(b"lo ", b"wor"),
            headers={
                "content-range": "bytes 3-8/11",
                "content-type": "text/plain",
                "etag": '"e1"',
                "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
                "x-nimbi-meta-owner": "Ännchen",
            },
        )
    ]
    part, condition = ByteRange(3, 8), BlobCondition(other_than="e0")
    content = await way.do(
        lambda client: client.account("aws").blobs.read("b", "a//../ü", part, condition)
    )
    got = await way.all(lambda _client: content.chunks)
    assert b"".join(got) == b"lo wor"
    assert (content.first, content.last, content.blob.size_bytes) == (3, 8, 11)
    assert (content.blob.etag, content.blob.metadata) == ("e1", {"owner": "Ännchen"})
    assert content.blob.modified_at.year == 1994
    [asked] = desk.asked
    assert asked.target == "/v1/accounts/aws/buckets/b/blobs/a%2F%2F..%2F%C3%BC/content"
    assert asked.headers["range"] == "bytes=3-8"
    assert asked.headers["if-none-match"] == '"e0"'


BLOB = {
    "id": "k",
    "bucket_id": "b",
    "size_bytes": 6,
    "content_type": None,
    "modified_at": None,
    "etag": None,
}


async def test_a_file_is_sent_as_a_blob_with_its_size(way: Way, desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"-- abcdef")
    desk.replies = [Reply(201, BLOB)]
    new = NewBlob(
        bucket_id="b",
        id="k",
        size_bytes=6,
        content_type="a/b",
        metadata={"Ä b": "ü"},
        only_new=True,
    )
    with file.open("rb") as opened_file:
        opened_file.seek(3)
        await way.do(lambda client: client.account("aws").blobs.write(new, opened_file))
    [asked] = desk.asked
    assert (asked.method, asked.body) == ("PUT", b"abcdef")
    assert asked.headers["content-length"] == "6"
    assert asked.headers["content-type"] == "a/b"
    assert asked.headers["if-none-match"] == "*"
    assert asked.headers["x-nimbi-meta-%c3%a4%20b"] == "ü"


async def test_content_of_unknown_size_is_sent_as_it_comes(way: Way, desk: Desk) -> None:
    desk.replies = [Reply(201, BLOB)]
    new = NewBlob(bucket_id="b", id="k")
    pieces = io.BytesIO(b"x" * 600_000)
    await way.do(lambda client: client.account("aws").blobs.write(new, pieces))
    assert desk.asked[0].body == b"x" * 600_000
    assert desk.asked[0].headers["transfer-encoding"] == "chunked"


async def test_an_answer_that_breaks_off_is_no_end_of_the_content(way: Way, desk: Desk) -> None:
    desk.replies = [Reply(200, chunks=(b"half",), breaks_off=True)]
    content = await way.do(lambda client: client.account("aws").blobs.read("b", "k"))
    with pytest.raises(UnknownOutcome):
        await way.all(lambda _client: content.chunks)


async def test_a_rehearsal_asks_for_a_dry_run(way: Way, desk: Desk) -> None:
    new = NewInstance(image_id="img")
    await way.do(lambda client: client.account("aws").rehearse(Instances.create, new))
    assert desk.asked[0].target == "/v1/accounts/aws/instances?dry_run=true"


async def test_a_rehearsal_is_of_all_arguments_however_they_are_told(way: Way, desk: Desk) -> None:
    await way.do(lambda client: client.account("aws").rehearse(Volumes.resize, "vol", size_gib=7))
    assert desk.asked[0].target == "/v1/accounts/aws/volumes/vol/resize?dry_run=true"
    assert desk.asked[0].json == {"size_gib": 7}


async def test_wishes_about_a_call_are_told_in_whole_seconds(way: Way, desk: Desk) -> None:
    await way.do(
        lambda client: client.account("aws").asking(wait_s=0.5, deadline_s=30).instances.get("i")
    )
    assert desk.asked[0].target == "/v1/accounts/aws/instances/i?wait=1&deadline=30"


PARTS = [
    {"account": "aws", "state": "ok", "age_s": 0.1},
    {
        "account": "old",
        "state": "stale",
        "age_s": 900.0,
        "problem": {"code": "unauthorized", "message": "the login has expired"},
    },
]


async def test_one_list_over_all_accounts_tells_which_of_them_failed(way: Way, desk: Desk) -> None:
    desk.replies = [
        Reply(200, {"items": [INSTANCE], "next": "m", "accounts": PARTS[:1]}),
        Reply(200, {"items": [INSTANCE | {"account": "old"}], "next": None, "accounts": PARTS}),
    ]
    found = await way.do(
        lambda client: client.instances.list(["aws", "old"], state="running", tags={"a": "b"})
    )
    assert [(account, thing.id) for account, thing in found] == [("aws", "i-1"), ("old", "i-1")]
    assert not found.is_whole
    with pytest.raises(Unauthorized, match="old: the login has expired"):
        found.check()
    assert desk.asked[0].target == (
        "/v1/instances?account=aws&account=old&state=running&tags.a=b&limit=1000"
    )


async def test_a_list_may_come_as_clouds_answer(way: Way, desk: Desk) -> None:
    lines = "\n".join(map(json.dumps, [INSTANCE, {"part": PARTS[0]}, {"part": PARTS[1]}, ""]))
    whole = lines.encode().removesuffix(b'""')
    desk.replies = [Reply(200, chunks=(whole[:20], whole[20:333], whole[333:]))]
    thing, first, second = await way.all(lambda client: client.instances.stream(fresh=True))
    assert (thing.account, thing.thing.id) == ("aws", "i-1")
    assert (first.account, second.account, second.state) == ("aws", "old", "stale")
    assert desk.asked[0].headers["accept"] == "application/x-ndjson"
