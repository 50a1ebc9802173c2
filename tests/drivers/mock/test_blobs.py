"""Buckets and blobs: whole or not at all, and never in memory."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.buckets import MockBuckets
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.session import Session
from nimbi.model.buckets import (
    Blob,
    BlobCondition,
    BlobPlace,
    ByteRange,
    NewBlob,
    NewBucket,
    Segment,
)
from nimbi.model.errors import Conflict, Invalid, NotFound

MIB = 1024 * 1024


async def chunks(*content: bytes) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


async def put(session: Session, id: str, content: bytes, **told: object) -> Blob:
    new = NewBlob(bucket_id="bucket1", id=id, **told)  # type: ignore[arg-type]
    return await MockBlobs(session).write(new, chunks(content))


async def read(session: Session, id: str, range: ByteRange | None = None) -> bytes:
    content = await MockBlobs(session).read("bucket1", id, range)
    found = b"".join([chunk async for chunk in content.chunks])
    assert len(found) == content.size_bytes
    return found


def files(cloud: MockCloud) -> set[Path]:
    return {path for path in cloud.contents.folder.rglob("*") if path.is_file()}


async def test_a_blob_is_read_as_it_was_written(session: Session) -> None:
    told = {"size_bytes": 5, "content_type": "text/plain", "metadata": {"Author": "me"}}
    made = await put(session, "b", b"hello", **told)
    assert (made.size_bytes, made.content_type, made.metadata) == (
        5,
        "text/plain",
        {"Author": "me"},
    )
    assert await MockBlobs(session).get("bucket1", "b") == made
    assert await read(session, "b") == b"hello"
    assert (await MockBuckets(session).get("bucket1")).blob_count == 4


async def test_an_empty_blob_has_no_bytes(session: Session) -> None:
    await put(session, "empty", b"", size_bytes=0)
    assert await read(session, "empty") == b""


async def test_a_write_replaces_content_and_metadata_and_changes_the_etag(
    session: Session, cloud: MockCloud
) -> None:
    first = await put(session, "b", b"one", metadata={"a": "1"})
    before = files(cloud)
    second = await put(session, "b", b"one", content_type="text/plain")
    assert (second.metadata, second.content_type) == ({}, "text/plain")
    assert first.etag != second.etag
    assert len(files(cloud)) == len(before)
    assert (await MockBuckets(session).get("bucket1")).blob_count == 4


async def test_a_reader_keeps_what_it_opened(session: Session) -> None:
    await put(session, "b", b"x" * MIB)
    content = await MockBlobs(session).read("bucket1", "b")
    await put(session, "b", b"y")
    assert b"".join([chunk async for chunk in content.chunks]) == b"x" * MIB


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (ByteRange(0, 0), b"0"),
        (ByteRange(2, 4), b"234"),
        (ByteRange(7), b"789"),
        (ByteRange(7, 99), b"789"),
        (ByteRange(-3), b"789"),
        (ByteRange(-99), b"0123456789"),
    ],
)
async def test_a_range_gives_its_part(session: Session, asked: ByteRange, found: bytes) -> None:
    await put(session, "digits", b"0123456789")
    assert await read(session, "digits", asked) == found


@pytest.mark.parametrize("asked", [ByteRange(10), ByteRange(99, 100), ByteRange(4, 3)])
async def test_a_range_outside_is_invalid(session: Session, asked: ByteRange) -> None:
    await put(session, "digits", b"0123456789")
    with pytest.raises(Invalid):
        await MockBlobs(session).read("bucket1", "digits", asked)


@pytest.mark.parametrize("told", [4, 6])
async def test_content_of_another_size_leaves_no_trace(
    session: Session, cloud: MockCloud, told: int
) -> None:
    before = files(cloud)
    with pytest.raises(Invalid):
        await put(session, "blob1", b"hello", size_bytes=told)
    assert await read(session, "blob1") == b"content of blob 1"
    assert files(cloud) == before


async def test_a_torn_upload_leaves_no_trace(session: Session, cloud: MockCloud) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        raise ConnectionResetError

    before = files(cloud)
    with pytest.raises(ConnectionResetError):
        await MockBlobs(session).write(NewBlob(bucket_id="bucket1", id="torn"), torn())
    assert files(cloud) == before
    with pytest.raises(NotFound):
        await MockBlobs(session).get("bucket1", "torn")


async def test_a_cancelled_upload_leaves_no_trace(session: Session, cloud: MockCloud) -> None:
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        waiting.set()
        await asyncio.Event().wait()

    before = files(cloud)
    wish = NewBlob(bucket_id="bucket1", id="torn")
    task = asyncio.create_task(MockBlobs(session).write(wish, endless()))
    await waiting.wait()
    assert files(cloud) != before
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(cloud) == before


@pytest.mark.parametrize(
    "id", ["a/b/c", "../../etc/passwd", "ünï ☃ 鍵", "..", "%2e%2e", "x" * 1024]
)
async def test_any_name_is_a_name_and_never_that_of_a_file(
    session: Session, cloud: MockCloud, id: str
) -> None:
    before = files(cloud)
    await put(session, id, b"content")
    assert await read(session, id) == b"content"
    [new] = files(cloud) - before
    assert new.name not in id
    await MockBlobs(session).destroy("bucket1", id)
    assert files(cloud) == before


@pytest.mark.parametrize("id", ["", "a\x00b", "a\nb", "\ud800", "x" * 1025])
async def test_a_name_that_cannot_be_shown_is_invalid(session: Session, id: str) -> None:
    with pytest.raises(Invalid):
        await put(session, id, b"content")


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "1", "A": "2"},
        {"": "x"},
        {"a b": "x"},
        {"a:b": "x"},
        {"a": "x\r\ny"},
        {"a": "x" * 9000},
    ],
)
async def test_metadata_that_no_header_can_hold_are_invalid(
    session: Session, metadata: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        await put(session, "b", b"", metadata=metadata)
    with pytest.raises(Invalid):
        await MockBlobs(session).set_metadata("bucket1", "blob1", metadata)


async def test_metadata_are_replaced_and_the_content_stays(session: Session) -> None:
    before = await MockBlobs(session).get("bucket1", "blob1")
    changed = await MockBlobs(session).set_metadata("bucket1", "blob1", {"New": "1"})
    assert (changed.metadata, changed.etag) == ({"New": "1"}, before.etag)
    assert await read(session, "blob1") == b"content of blob 1"


async def test_blobs_are_listed_by_page_in_the_order_of_their_ids(session: Session) -> None:
    await MockBuckets(session).create(NewBucket(name="b"))
    blobs = MockBlobs(session)
    ids = ["a10", "a2", "B", "ä", "a/1"]
    for id in ids:
        await blobs.write(NewBlob(bucket_id="b", id=id), chunks(b""))
    found: list[str] = []
    page = await blobs.page("b", None, 2)
    while page.next is not None:
        found += [blob.id for blob in page.items]
        page = await blobs.page("b", page.next, 2)
    assert found + [blob.id for blob in page.items] == sorted(ids)


async def test_the_same_name_in_two_buckets_is_two_blobs(session: Session) -> None:
    blobs = MockBlobs(session)
    await blobs.write(NewBlob(bucket_id="bucket2", id="blob1"), chunks(b"other"))
    assert await read(session, "blob1") == b"content of blob 1"
    await blobs.destroy("bucket2", "blob1")
    assert await read(session, "blob1") == b"content of blob 1"


async def test_a_bucket_goes_only_when_it_is_empty(session: Session) -> None:
    buckets, blobs = MockBuckets(session), MockBlobs(session)
    with pytest.raises(Conflict):
        await buckets.destroy("bucket2")
    for id in ("blob4", "blob5"):
        await blobs.destroy("bucket2", id)
    await buckets.destroy("bucket2")
    for seek in (buckets.get("bucket2"), blobs.page("bucket2", None, 9)):
        with pytest.raises(NotFound):
            await seek


async def test_a_bucket_is_made_where_it_was_asked(session: Session) -> None:
    buckets = MockBuckets(session)
    made = await buckets.create(NewBucket(name="ü 1", location="eu"))
    assert (made.id, made.name, made.location, made.blob_count) == ("ü 1", "ü 1", "eu", 0)
    with pytest.raises(Conflict):
        await buckets.create(NewBucket(name="ü 1"))
    for name in ("", ".", "..", "a/b", "a\tb"):
        with pytest.raises(Invalid):
            await buckets.create(NewBucket(name=name))


async def test_unknown_blobs_are_not_found(session: Session) -> None:
    blobs = MockBlobs(session)
    for seek in (
        blobs.get("bucket1", "none"),
        blobs.get("none", "blob1"),
        blobs.read("bucket1", "none"),
        blobs.destroy("bucket1", "none"),
        blobs.set_metadata("bucket1", "none", {}),
        blobs.write(NewBlob(bucket_id="none", id="x"), chunks(b"")),
    ):
        with pytest.raises(NotFound):
            await seek


async def test_segments_come_in_any_order_and_again(session: Session, cloud: MockCloud) -> None:
    blobs = MockBlobs(session)
    before = files(cloud)
    wish = NewBlob(bucket_id="bucket1", id="big", content_type="text/x", metadata={"K": "v"})
    upload = await blobs.begin_upload(wish)
    with pytest.raises(NotFound):
        await blobs.get("bucket1", "big")
    third = await blobs.write_segment(upload, 3, chunks(b"three"), 5)
    torn = await blobs.write_segment(upload, 1, chunks(b"wrong"))
    first = await blobs.write_segment(upload, 1, chunks(b"o", b"ne"))
    assert torn.id != first.id
    with pytest.raises(Invalid):
        await blobs.finish_upload(upload, (torn, third))
    made = await blobs.finish_upload(upload, (third, first))
    assert (made.size_bytes, made.content_type, made.metadata) == (8, "text/x", {"K": "v"})
    assert await read(session, "big") == b"onethree"
    assert len(files(cloud)) == len(before) + 1
    with pytest.raises(NotFound):
        await blobs.finish_upload(upload, (third, first))


async def test_an_aborted_upload_leaves_no_trace(session: Session, cloud: MockCloud) -> None:
    blobs = MockBlobs(session)
    before = files(cloud)
    upload = await blobs.begin_upload(NewBlob(bucket_id="bucket1", id="big"))
    segment = await blobs.write_segment(upload, 1, chunks(b"one"))
    await blobs.abort_upload(upload)
    assert files(cloud) == before
    for late in (
        blobs.write_segment(upload, 2, chunks(b"two")),
        blobs.finish_upload(upload, (segment,)),
        blobs.abort_upload(upload),
    ):
        with pytest.raises(NotFound):
            await late


async def test_a_segment_that_cannot_be_is_invalid(session: Session) -> None:
    blobs = MockBlobs(session)
    upload = await blobs.begin_upload(NewBlob(bucket_id="bucket1", id="big"))
    for order in (0, 10_001):
        with pytest.raises(Invalid):
            await blobs.write_segment(upload, order, chunks(b"one"))
    with pytest.raises(Invalid):
        await blobs.write_segment(upload, 1, chunks(b"one"), 2)
    segment = await blobs.write_segment(upload, 1, chunks(b"one"))
    for segments in ((), (segment, segment), (Segment(order=2, id="../../blob1"),)):
        with pytest.raises(Invalid):
            await blobs.finish_upload(upload, segments)


async def test_a_large_blob_passes_through_little_memory(session: Session) -> None:
    piece = bytes(256 * 1024)

    async def sixty_four_mib() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield bytes(piece)

    tracemalloc.start()
    try:
        new = NewBlob(bucket_id="bucket1", id="big", size_bytes=64 * MIB)
        await MockBlobs(session).write(new, sixty_four_mib())
        content = await MockBlobs(session).read("bucket1", "big")
        received = 0
        async for chunk in content.chunks:
            received += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == 64 * MIB
    assert peak < 4 * MIB


async def test_a_blob_may_be_left_in_the_middle(session: Session) -> None:
    await put(session, "b", b"x" * 2 * MIB)
    content = await MockBlobs(session).read("bucket1", "b")
    async with aclosing(content.chunks) as pieces:  # type: ignore[type-var]
        assert await anext(pieces)
    unread = await MockBlobs(session).read("bucket1", "b")
    await unread.chunks.aclose()  # type: ignore[attr-defined]


async def test_a_copy_asked_for_again_is_the_same_one(session: Session) -> None:
    blobs = MockBlobs(session)
    wish = NewBlob(bucket_id="bucket2", id="copy", only_new=True, token="t")
    source = BlobPlace("bucket1", "blob1")
    first = await blobs.copy(source, wish)
    again = await blobs.copy(source, wish)
    assert (first.content_type, again.content_type) == ("text/plain", "text/plain")
    with pytest.raises(Conflict):
        await blobs.copy(source, msgspec.structs.replace(wish, token="u"))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_read_on_a_condition_that_fails_leaves_no_file_open(session: Session) -> None:
    before = open_files()
    for _ in range(3):
        with pytest.raises(Conflict):
            await MockBlobs(session).read("bucket1", "blob1", None, BlobCondition(etag="no"))
    assert open_files() == before
