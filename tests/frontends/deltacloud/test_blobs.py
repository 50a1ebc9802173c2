"""Blobs: facts, metadata, conditions, ranges, segments, forms."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from lxml import etree
from tests.frontends.deltacloud.conftest import HOST, Client

from nimbi.frontends.deltacloud.blob_headers import metadata_headers
from nimbi.frontends.deltacloud.handlers.uploads import segments_of
from nimbi.model.buckets import Segment
from nimbi.model.errors import Invalid
from nimbi.wire.content_headers import disposition, header_text

BUCKET = "/api/buckets/bucket1"
BLOB = f"{BUCKET}/b1"
TEXT = b"0123456789"


async def stored(api: Client, path: str = BLOB, content: Any = TEXT, **headers: str) -> Any:
    told = {"content-type": "text/plain"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return await api("PUT", path, "application/xml", content=content, headers=told)


async def test_a_blob_is_told_as_the_original_tells_it(api: Client) -> None:
    answer = await stored(api, x_deltacloud_blobmeta_Author="me")
    assert answer.status_code == 200
    root = etree.fromstring(answer.content)
    assert (root.tag, root.get("id"), root.get("href")) == ("blob", "b1", HOST + BLOB)
    assert root.findtext("bucket") == "bucket1"
    assert root.findtext("content_length") == "10"
    assert root.findtext("content_type") == "text/plain"
    assert (root.findtext("last_modified") or "").endswith(" +0000")
    assert [(e.get("key"), e.text) for e in root.findall("user_metadata/entry")] == [
        ("author", "me")
    ]
    content = root.find("content")
    assert content is not None
    assert dict(content.attrib) == {"href": f"{HOST}{BLOB}/content", "rel": "blob_content"}
    told = (await api.json("GET", BLOB))["blob"]
    assert told["bucket"] == {"rel": "bucket", "href": HOST + BUCKET, "id": "bucket1"}
    assert (told["content_length"], told["user_metadata"]) == ("10", {"author": "me"})


async def test_the_content_comes_back_as_it_was(api: Client) -> None:
    await stored(api)
    answer = await api("GET", f"{BLOB}/content")
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == "10"
    assert answer.headers["content-disposition"] == "attachment; filename=b1"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


async def test_a_client_that_asks_for_a_redirect_is_led_to_the_cloud(api: Client) -> None:
    await stored(api, f"{BUCKET}/a%20b")
    answer = await api("GET", f"{BUCKET}/a%20b/content?redirect=true")
    assert (answer.status_code, answer.content) == (302, b"")
    link = answer.headers["location"]
    assert link.startswith("http://blobs.mock.invalid/bucket1/a%20b?until=")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("query", ["", "?redirect=false", "?redirect="])
async def test_content_is_streamed_unless_a_redirect_is_asked_for(api: Client, query: str) -> None:
    await stored(api)
    answer = await api("GET", f"{BLOB}/content{query}")
    assert (answer.status_code, answer.content) == (200, TEXT)


async def test_a_head_is_never_led_elsewhere(api: Client) -> None:
    await stored(api)
    answer = await api("HEAD", f"{BLOB}/content?redirect=true")
    assert (answer.status_code, answer.headers["content-length"]) == (200, "10")


async def test_a_redirect_to_an_unknown_bucket_is_not_found(api: Client) -> None:
    answer = await api("GET", "/api/buckets/none/b1/content?redirect=true")
    assert answer.status_code == 404


@pytest.mark.parametrize("accept", ["text/plain", "image/png", "application/unknown", "*/*"])
async def test_content_is_given_whatever_documents_a_client_likes(api: Client, accept: str) -> None:
    assert (await api("GET", f"{BUCKET}/blob1/content", accept)).content == b"content of blob 1"


async def test_head_of_the_content_tells_its_size_without_reading_it(api: Client) -> None:
    await stored(api)
    answer = await api("HEAD", f"{BLOB}/content")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "10"


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_content_of_an_unknown_length_is_taken(api: Client) -> None:
    answer = await stored(api, content=pieces(b"abc", b"", b"def"))
    assert answer.status_code == 200
    assert (await api("GET", f"{BLOB}/content")).content == b"abcdef"


async def test_an_empty_blob_is_a_blob(api: Client) -> None:
    assert (await stored(api, content=b"")).status_code == 200
    answer = await api("GET", f"{BLOB}/content")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "0"
    beyond = await api("GET", f"{BLOB}/content", headers={"range": "bytes=0-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize("length", ["9", "11"])
async def test_content_of_another_length_than_told_changes_nothing(
    api: Client, length: str
) -> None:
    await stored(api, content=b"old")
    answer = await stored(api, content_length=length)
    assert answer.status_code == 400
    assert (await api("GET", f"{BLOB}/content")).content == b"old"


@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-99", 206, TEXT, "bytes 0-9/10"),
        ("bytes=4-2", 200, TEXT, None),
        ("bytes=1-2,4-5", 200, TEXT, None),
        ("lines=1-2", 200, TEXT, None),
        ("bytes=10-", 416, None, "bytes */10"),
    ],
)
async def test_a_part_is_given(
    api: Client, asked: str, status: int, content: bytes | None, content_range: str | None
) -> None:
    await stored(api)
    answer = await api("GET", f"{BLOB}/content", headers={"range": asked})
    assert answer.status_code == status
    assert answer.headers.get("content-range") == content_range
    if content is not None:
        assert answer.content == content
        assert answer.headers["content-length"] == str(len(content))


async def test_a_client_that_has_the_content_is_told_so(api: Client) -> None:
    await stored(api)
    first = await api("GET", f"{BLOB}/content")
    for condition in (
        {"if-none-match": first.headers["etag"]},
        {"if-none-match": f'"x", W/{first.headers["etag"]}'},
        {"if-none-match": "*"},
        {"if-modified-since": first.headers["last-modified"]},
    ):
        answer = await api("GET", f"{BLOB}/content", headers=condition)
        assert (answer.status_code, answer.content) == (304, b""), condition
        assert answer.headers["etag"] == first.headers["etag"]
    for condition in (
        {"if-none-match": '"x"'},
        {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"if-modified-since": "nonsense"},
        {"if-none-match": '"x"', "if-modified-since": first.headers["last-modified"]},
    ):
        assert (await api("GET", f"{BLOB}/content", headers=condition)).content == TEXT


async def test_a_part_of_what_has_changed_is_not_given(api: Client) -> None:
    await stored(api)
    tag = (await api("GET", f"{BLOB}/content")).headers["etag"]

    async def status(if_range: str) -> int:
        headers = {"range": "bytes=0-1", "if-range": if_range}
        return (await api("GET", f"{BLOB}/content", headers=headers)).status_code

    assert await status(tag) == 206
    assert await status(f"W/{tag}") == 200
    assert await status("Thu, 01 Jan 1970 00:00:00 GMT") == 200
    await stored(api, content=b"something else")
    assert await status(tag) == 200


@pytest.mark.parametrize("tail", ["", "/metadata"])
async def test_metadata_are_shown_as_headers(api: Client, tail: str) -> None:
    answer = await api("HEAD", f"{BUCKET}/blob1{tail}", "application/xml")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["X-Deltacloud-Blobmeta-SOMENEWKEY"] == "NEWVALUE"
    assert (await api("HEAD", f"{BUCKET}/none{tail}")).status_code == 404


@pytest.mark.parametrize("tail", ["", "/update"])
async def test_metadata_are_replaced_all_at_once(api: Client, tail: str) -> None:
    await stored(api, x_deltacloud_blobmeta_a="1", x_deltacloud_blobmeta_b="2")
    headers = {"X-Deltacloud-Blobmeta-B": "3"}
    answer = await api("POST", BLOB + tail, "application/xml", headers=headers)
    assert (answer.status_code, answer.headers["x-deltacloud-blobmeta-b"]) == (204, "3")
    shown = (await api.json("GET", BLOB))["blob"]
    assert shown["user_metadata"] == {"b": "3"}
    assert (await api("GET", f"{BLOB}/content")).content == TEXT


async def test_metadata_in_any_letters_come_back(api: Client) -> None:
    headers = [(b"x-deltacloud-blobmeta-who", "Zoë ☃".encode())]
    await api("PUT", BLOB, content=b"x", headers=headers)
    assert (await api.json("GET", BLOB))["blob"]["user_metadata"] == {"who": "Zoë ☃"}
    told = await api("HEAD", BLOB)
    assert dict(told.headers.raw)[b"x-deltacloud-blobmeta-who"] == "Zoë ☃".encode()


async def test_too_much_metadata_is_refused(api: Client) -> None:
    answer = await stored(api, x_deltacloud_blobmeta_big="x" * 9000)
    assert answer.status_code == 400


def test_what_a_header_cannot_hold_is_escaped() -> None:
    assert header_text("a\r\nX-Evil: y\x00") == b"a%0D%0AX-Evil: y%00"
    [(name, value)] = metadata_headers({"a b:\n": " v "})
    assert name == b"x-deltacloud-blobmeta-a%20b%3A%0A"
    assert value == b"v"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("b1.tar.gz", "attachment; filename=b1.tar.gz"),
        ("a b", "attachment; filename=\"a b\"; filename*=UTF-8''a%20b"),
        ('a"b\\', "attachment; filename=\"a_b_\"; filename*=UTF-8''a%22b%5C"),
        ("Zoë", "attachment; filename=\"Zo_\"; filename*=UTF-8''Zo%C3%AB"),
        ("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
    ],
)
def test_the_name_of_a_download_is_safe(name: str, header: str) -> None:
    assert disposition(name).decode() == header


@pytest.mark.parametrize(
    "name", ["a%2Fb", "a%20b", "%E2%98%83", "a%25b", "new", "a;b".replace(";", "%3B")]
)
async def test_a_blob_of_any_name_is_found_again(api: Client, name: str) -> None:
    made = await stored(api, f"{BUCKET}/{name}")
    assert made.status_code == 200, made.text
    href = str(etree.fromstring(made.content).get("href")).removeprefix(HOST)
    assert (await api("GET", f"{href}/content")).content == TEXT
    listed = await api.xml("GET", BUCKET)
    assert HOST + href in listed.xpath("blob/@href")
    assert (await api("DELETE", href, "application/xml")).status_code == 204
    assert (await api("GET", href, "application/xml")).status_code == 404


@pytest.mark.parametrize("way", ["headers", "query"])
async def test_a_large_blob_is_uploaded_in_segments(api: Client, way: str) -> None:
    async def step(content: bytes = b"", **told: str) -> Any:
        if way == "query":
            return await api("PUT", BLOB, "application/xml", params=told, content=content)
        names = {
            "blob_type": "X-Deltacloud-BlobType",
            "segmented_blob": "X-Deltacloud-SegmentedBlob",
            "segment_order": "X-Deltacloud-SegmentOrder",
        }
        headers = {names[name]: value for name, value in told.items()}
        return await api("PUT", BLOB, "application/xml", headers=headers, content=content)

    begun = await step(blob_type="segmented")
    assert begun.status_code == 204
    upload = begun.headers["x-deltacloud-segmentedblob"]
    ids = {}
    for order, content in ((2, b"world"), (1, b"hello ")):
        told = await step(
            content, blob_type="segmented", segmented_blob=upload, segment_order=str(order)
        )
        assert told.status_code == 204
        ids[order] = told.headers["x-deltacloud-blobsegmentid"]
    assert (await api("GET", BLOB)).status_code == 404
    body = f"1={ids[1]} , 2={ids[2]}".encode()
    made = await step(body, blob_type="segmented", segmented_blob=upload)
    assert made.status_code == 200, made.text
    assert etree.fromstring(made.content).findtext("content_length") == "11"
    assert (await api("GET", f"{BLOB}/content")).content == b"hello world"


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("blob_type=other", b"", 400),
        ("blob_type=segmented&segmented_blob=none&segment_order=1", b"x", 404),
        ("blob_type=segmented&segmented_blob=none&segment_order=0", b"x", 400),
        ("blob_type=segmented&segmented_blob=none&segment_order=x", b"x", 400),
        ("blob_type=segmented&segmented_blob=none", b"", 400),
        ("blob_type=segmented&segmented_blob=none", b"nonsense", 400),
        ("blob_type=segmented&segmented_blob=none", b"1=a", 404),
    ],
)
async def test_broken_segments_are_refused(
    api: Client, query: str, body: bytes, status: int
) -> None:
    answer = await api("PUT", f"{BLOB}?{query}", "application/xml", content=body)
    assert answer.status_code == status


def test_segments_are_listed_in_any_order_and_spacing() -> None:
    wanted = (Segment(order=1, id="a"), Segment(order=2, id='"b=="'), Segment(order=10, id="c,d"))
    assert segments_of(b'10=c%2Cd,2="b==" ,\n 1 = a ,') == wanted


@pytest.mark.parametrize("body", [b"", b",", b"1=", b"=a", b"x=a", b"1=a,1=b", b"\xff=a"])
def test_a_list_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        segments_of(body)


async def test_a_blob_is_stored_from_a_form_with_a_file(api: Client) -> None:
    answer = await api(
        "POST",
        BUCKET,
        "application/xml",
        data={"blob_id": "f1", "meta_params": "1", "meta_name1": "Color", "meta_value1": "red"},
        files={"blob_data": ("ignored.bin", b"\x00\xff" * 1_000_000, "image/x-raw")},
    )
    assert answer.status_code == 201, answer.text
    assert "location" not in answer.headers
    root = etree.fromstring(answer.content)
    assert root.findtext("content_length") == "2000000"
    assert root.findtext("content_type") == "image/x-raw"
    assert root.xpath("string(user_metadata/entry[@key='color'])") == "red"
    assert (await api("GET", f"{BUCKET}/f1/content")).content == b"\x00\xff" * 1_000_000


async def test_a_blob_is_stored_from_the_query_as_the_ruby_client_does(api: Client) -> None:
    query = "blob_id=q1&blob_data=hello%20there&meta_params=1&meta_name1=a&meta_value1=b"
    answer = await api("POST", f"{BUCKET}?{query}", "application/xml")
    assert answer.status_code == 201
    assert (await api("GET", f"{BUCKET}/q1/content")).content == b"hello there"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("blob_id=&blob_data=x", 400),
        ("blob_data=x", 400),
        ("blob_id=a", 400),
        ("blob_id=a&blob_data=x&meta_name1=b%20c&meta_value1=d", 400),
        ("blob_id=a&blob_data=x&meta_name1=b&meta_value1=c%0d%0ad", 400),
    ],
)
async def test_a_form_that_tells_too_little_is_refused(
    api: Client, query: str, status: int
) -> None:
    assert (await api("POST", f"{BUCKET}?{query}", "application/xml")).status_code == status


async def test_a_strangers_file_is_not_taken_in(stranger: Client) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        yield (b'--b\r\nContent-Disposition: form-data; name="blob_data"; filename="f"\r\n\r\n')
        for _ in range(100):
            read += 1
            yield b"x" * 10_000

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await stranger("POST", BUCKET, "application/xml", content=body(), headers=headers)
    assert answer.status_code == 401
    assert read <= 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{BUCKET}/none"),
        ("GET", f"{BUCKET}/none/content"),
        ("DELETE", f"{BUCKET}/none"),
        ("PUT", "/api/buckets/none/b"),
        ("POST", f"{BUCKET}/none"),
        ("GET", "/api/buckets/none"),
    ],
)
async def test_what_is_not_there_is_not_found(api: Client, method: str, path: str) -> None:
    answer = await api(method, path, "application/xml", content=b"" if method == "PUT" else None)
    assert answer.status_code == 404
