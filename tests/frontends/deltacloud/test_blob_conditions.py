"""Conditional requests for blobs: RFC 9110, section 13."""

from typing import Any

import pytest
from tests.frontends.deltacloud.conftest import Client

BLOB = "/api/buckets/bucket1/conditional"
FUTURE, PAST = "Fri, 01 Jan 2100 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"
OTHER = '"0123456789abcdef"'


async def put(api: Client, content: bytes, **headers: str) -> Any:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api("PUT", BLOB, "application/xml", content=content, headers=told)


async def content(api: Client) -> bytes:
    body: bytes = (await api("GET", f"{BLOB}/content")).content
    return body


async def tag(api: Client) -> str:
    found: str = (await api("HEAD", f"{BLOB}/content")).headers["etag"]
    return found


async def test_only_what_is_new_is_stored_when_asked_so(api: Client) -> None:
    assert (await put(api, b"first", if_none_match="*")).status_code == 200
    assert (await put(api, b"second", if_none_match="*")).status_code == 412
    assert await content(api) == b"first"


async def test_a_blob_is_replaced_only_while_it_is_the_known_one(api: Client) -> None:
    await put(api, b"first")
    known = await tag(api)
    assert (await put(api, b"second", if_match=known)).status_code == 200
    assert (await put(api, b"third", if_match=known)).status_code == 412
    assert await content(api) == b"second"


@pytest.mark.parametrize("value", ["*", OTHER])
async def test_what_is_not_there_matches_nothing(api: Client, value: str) -> None:
    assert (await put(api, b"content", if_match=value)).status_code == 412
    assert (await api("GET", f"{BLOB}/content")).status_code == 404


async def test_any_blob_may_be_replaced_and_one_of_several_too(api: Client) -> None:
    await put(api, b"first")
    assert (await put(api, b"second", if_match="*")).status_code == 200
    several = f"{OTHER}, {await tag(api)}"
    assert (await put(api, b"third", if_match=several)).status_code == 200
    assert await content(api) == b"third"


async def test_a_blob_is_stored_unless_it_is_the_named_one(api: Client) -> None:
    await put(api, b"first")
    assert (await put(api, b"second", if_none_match=await tag(api))).status_code == 412
    assert (await put(api, b"second", if_none_match=OTHER)).status_code == 200


async def test_a_blob_that_changed_since_is_not_replaced(api: Client) -> None:
    await put(api, b"first")
    assert (await put(api, b"second", if_unmodified_since=PAST)).status_code == 412
    assert (await put(api, b"second", if_unmodified_since=FUTURE)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("if-match", "*", 200),
        ("if-match", OTHER, 412),
        ("if-match", f"W/{OTHER}", 412),
        ("if-unmodified-since", FUTURE, 200),
        ("if-unmodified-since", PAST, 412),
        ("if-unmodified-since", "no date", 200),
    ],
)
async def test_content_is_given_only_while_it_is_the_expected_one(
    api: Client, method: str, header: str, value: str, status: int
) -> None:
    await put(api, b"content")
    answer = await api(method, f"{BLOB}/content", headers={header: value})
    assert answer.status_code == status
    if method == "GET" and status == 200:
        assert answer.content == b"content"


async def test_content_is_given_to_who_names_its_tag(api: Client) -> None:
    await put(api, b"content")
    known = await tag(api)
    headers = {"if-match": known, "range": "bytes=0-2"}
    answer = await api("GET", f"{BLOB}/content", headers=headers)
    assert (answer.status_code, answer.content) == (206, b"con")
    weak = {"if-match": f"W/{known}"}
    assert (await api("GET", f"{BLOB}/content", headers=weak)).status_code == 412


async def test_a_segmented_upload_is_begun_on_a_condition(api: Client) -> None:
    await put(api, b"first")
    refused = await put(api, b"", x_deltacloud_blobtype="segmented", if_none_match="*")
    assert refused.status_code == 412
