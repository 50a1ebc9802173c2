"""Blobs and images through the native API: whole, in part, on a condition, in segments."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.frontends.native.conftest import Api

from nimbi.api.requests import segment
from nimbi.model.tokens import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOBS = "/v1/accounts/mock/buckets/bucket1/blobs"
BLOB = f"{BLOBS}/native"
CONTENT = f"{BLOB}/content"
TEXT = b"0123456789"


def place(id: str) -> str:
    return f"{BLOBS}/{segment(id)}"


async def put(api: Api, path: str = CONTENT, body: bytes = TEXT, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.put(path, content=body, headers=named)


async def test_what_is_stored_comes_back_with_its_type_and_metadata(api: Api) -> None:
    headers = {"content-type": b"text/plain", "x-nimbi-meta-Owner": "Ann é".encode()}
    stored = await api.client.put(CONTENT, content=TEXT, headers=headers)
    assert stored.status_code == 201
    assert stored.json()["metadata"] == {"owner": "Ann é"}
    answer = await api.ask("GET", CONTENT)
    assert (answer.status_code, answer.content) == (200, TEXT)
    told = {n: answer.headers[n] for n in ("content-type", "content-length", "accept-ranges")}
    assert told == {"content-type": "text/plain", "content-length": "10", "accept-ranges": "bytes"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (b"x-nimbi-meta-owner", "Ann é".encode()) in answer.headers.raw


async def test_head_tells_the_same_without_the_content(api: Api) -> None:
    await put(api)
    answer = await api.ask("HEAD", CONTENT)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (
        200,
        b"",
        "10",
    )


@pytest.mark.parametrize(
    ("wanted", "status", "body", "told"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-1,4-5", 200, TEXT, None),
        ("bytes=10-", 416, None, "bytes */10"),
    ],
)
async def test_a_part_is_cut_out(
    api: Api, wanted: str, status: int, body: bytes | None, told: str | None
) -> None:
    await put(api)
    answer = await api.ask("GET", CONTENT, range=wanted)
    assert (answer.status_code, answer.headers.get("content-range")) == (status, told)
    if body is not None:
        assert answer.content == body
    else:
        assert answer.json()["type"] == "/v1/problems/range_not_satisfiable"


async def test_content_that_the_client_has_is_not_sent_again(api: Api) -> None:
    await put(api)
    tag = (await api.ask("GET", CONTENT)).headers["etag"]
    again = await api.ask("GET", CONTENT, if_none_match=tag)
    assert (again.status_code, again.content) == (304, b"")
    stale = await api.ask("GET", CONTENT, range="bytes=0-1", if_range='"other"')
    assert (stale.status_code, stale.content) == (200, TEXT)
    other = await api.ask("GET", CONTENT, if_match='"other"')
    assert (other.status_code, other.json()["code"]) == (412, "conflict")


async def test_a_blob_is_replaced_only_while_it_is_the_known_one(api: Api) -> None:
    await put(api, body=b"first")
    tag = (await api.ask("HEAD", CONTENT)).headers["etag"]
    assert (await put(api, body=b"second", if_match=tag)).status_code == 201
    refused = [
        await put(api, body=b"third", if_match=tag),
        await put(api, body=b"third", if_none_match="*"),
    ]
    assert [answer.status_code for answer in refused] == [412, 412]
    assert (await api.ask("GET", CONTENT)).content == b"second"


@pytest.mark.parametrize("id", ["a/b//c.txt", "..", ".", "../x", "ü 中%2F", "content", "?#"])
async def test_any_name_of_a_blob_survives(api: Api, id: str) -> None:
    stored = await put(api, f"{place(id)}/content", b"x")
    assert (stored.status_code, stored.json().get("id")) == (201, id), stored.text
    assert (await api.ask("GET", f"{place(id)}/content")).content == b"x"
    assert (await api.ask("GET", place(id))).json()["id"] == id
    assert (await api.ask("DELETE", place(id))).status_code == 204
    assert (await api.ask("GET", f"{place(id)}/content")).status_code == 404


async def test_content_of_unknown_length_is_stored(api: Api) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    stored = await api.client.put(CONTENT, content=pieces())
    assert stored.json()["size_bytes"] == 13


async def test_content_that_is_shorter_than_told_leaves_what_was_there(api: Api) -> None:
    await put(api, body=b"old")
    torn = await put(api, body=b"new", content_length="100")
    assert (torn.status_code, torn.json()["code"]) == (400, "invalid")
    assert (await api.ask("GET", CONTENT)).content == b"old"


async def test_metadata_that_no_header_can_hold_is_refused(api: Api) -> None:
    answer = await put(api, x_nimbi_meta_much="x" * 9000)
    assert answer.status_code == 400
    assert "metadata" in answer.json()["detail"]


async def test_segments_become_a_blob_in_their_order(api: Api) -> None:
    upload = (await api.ask("POST", f"{place('large')}/uploads", {})).json()
    assert (upload["bucket_id"], upload["blob_id"]) == ("bucket1", "large")
    there = f"{place('large')}/uploads/{upload['id']}"
    second = (await put(api, f"{there}/segments/2", b"world")).json()
    first = (await put(api, f"{there}/segments/1", b"hello ")).json()
    blob = await api.ask("POST", f"{there}/finish", {"segments": [second, first]})
    assert blob.json()["size_bytes"] == 11
    assert (await api.ask("GET", f"{place('large')}/content")).content == b"hello world"
    assert (await put(api, f"{there}/segments/nine", b"x")).status_code == 422


async def test_an_image_goes_up_and_comes_down(api: Api) -> None:
    asked = "/v1/accounts/mock/images/upload?name=mine&format=raw"
    image = await api.client.post(asked, content=b"disk", headers={"idempotency-key": "image"})
    assert (image.status_code, image.json()["name"]) == (201, "mine")
    again = await api.client.post(asked, content=b"disk", headers={"idempotency-key": "image"})
    assert again.json() == image.json()
    down = await api.ask("GET", f"/v1/accounts/mock/images/{image.json()['id']}/content")
    assert (down.status_code, down.content) == (200, b"disk")
    wrong = await api.client.post(asked + "&size=4", content=b"disk")
    assert (wrong.status_code, "'size'" in wrong.json()["detail"]) == (400, True)


async def test_a_reader_stores_nothing(api: Api) -> None:
    await put(api, body=b"old")
    async with await api.reader(Scope(operations="read")) as reader:
        assert (await reader.put(CONTENT, content=b"new")).status_code == 403
        assert (await reader.get(CONTENT)).content == b"old"
