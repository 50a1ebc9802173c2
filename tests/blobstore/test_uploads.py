"""Segmented uploads: joined without copying, seen only when they are finished."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.blobstore.conftest import BUCKET, chunks, files, got, put

from nimbi.blobstore import BlobStore, Conflict, Invalid, NewBlob, NotFound, Segment, Upload
from nimbi.blobstore.blobs import _within

NEW = NewBlob(bucket=BUCKET, name="joined", content_type="text/x-test", metadata={"a": "b"})


async def segments(store: BlobStore, upload: Upload, *parts: bytes) -> list[Segment]:
    return [
        await store.uploads.write(upload, order, chunks(part), len(part))
        for order, part in enumerate(parts, 1)
    ]


async def test_segments_become_a_blob_in_their_order(store: BlobStore, root: Path):
    parts = [os.urandom(700_000), os.urandom(600_001), b"", b"end"]
    upload = await store.uploads.begin(NEW)
    given = await segments(store, upload, *parts)
    blob = await store.uploads.finish(upload, list(reversed(given)))
    assert (blob.content_type, blob.metadata) == ("text/x-test", {"a": "b"})
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    assert blob.etag == f"{hashlib.sha256(digests).hexdigest()}-4"
    whole = b"".join(parts)
    assert await got(store, "joined") == whole
    for first, last in ((0, 0), (699_999, 700_000), (5, 1_300_003), (1_300_001, None), (-4, None)):
        end = None if last is None else last + 1
        assert await got(store, "joined", first, last) == whole[first:end]
    # The empty one is of no use, and is gone.
    assert len(files(root)) == 3
    with pytest.raises(NotFound):
        await store.uploads.finish(upload, given)


async def test_nothing_of_an_upload_is_seen_before_its_end(store: BlobStore):
    upload = await store.uploads.begin(NEW)
    await segments(store, upload, b"content")
    assert (await store.blobs.page(BUCKET)).blobs == ()
    with pytest.raises(NotFound):
        await store.blobs.get(BUCKET, "joined")


async def test_a_segment_sent_again_replaces_the_first(store: BlobStore, root: Path):
    upload = await store.uploads.begin(NEW)
    (old,) = await segments(store, upload, b"old")
    (new,) = await segments(store, upload, b"new")
    assert len(files(root)) == 1
    with pytest.raises(Invalid):
        await store.uploads.finish(upload, [old])
    await store.uploads.finish(upload, [new])
    assert await got(store, "joined") == b"new"


async def test_segments_that_are_not_listed_leave_the_disk(store: BlobStore, root: Path):
    upload = await store.uploads.begin(NEW)
    given = await segments(store, upload, b"one", b"two", b"three")
    await store.uploads.finish(upload, given[1:2])
    assert (await got(store, "joined"), len(files(root))) == (b"two", 1)


async def test_a_joined_blob_that_goes_leaves_nothing(store: BlobStore, root: Path):
    upload = await store.uploads.begin(NEW)
    await store.uploads.finish(upload, await segments(store, upload, b"one", b"two"))
    await put(store, "joined", b"in its place")
    assert len(files(root)) == 1
    await store.blobs.destroy(BUCKET, "joined")
    assert files(root) == set()


async def test_of_empty_segments_an_empty_blob_is_made(store: BlobStore):
    upload = await store.uploads.begin(NEW)
    await store.uploads.finish(upload, await segments(store, upload, b"", b""))
    assert ((await store.blobs.get(BUCKET, "joined")).size_bytes, await got(store, "joined")) == (
        0,
        b"",
    )


async def test_an_aborted_upload_leaves_nothing(store: BlobStore, root: Path):
    upload = await store.uploads.begin(NEW)
    await segments(store, upload, b"one", b"two")
    await store.uploads.abort(upload)
    assert files(root) == set()
    for again in (store.uploads.abort(upload), segments(store, upload, b"late")):
        with pytest.raises(NotFound):
            await again


async def test_a_bucket_takes_its_uploads_along(store: BlobStore, root: Path):
    upload = await store.uploads.begin(NEW)
    await segments(store, upload, b"one")
    await store.buckets.destroy(BUCKET)
    assert files(root) == set()
    with pytest.raises(NotFound):
        await segments(store, upload, b"late")


async def test_a_token_begins_one_upload(store: BlobStore):
    first = await store.uploads.begin(NEW, "token ✓")
    assert await store.uploads.begin(NEW, "token ✓") == first
    with pytest.raises(Conflict):
        await store.uploads.begin(NewBlob(bucket=BUCKET, name="another"), "token ✓")


async def test_a_multipart_reader_learns_that_its_blob_was_replaced(store: BlobStore):
    upload = await store.uploads.begin(NEW)
    await store.uploads.finish(upload, await segments(store, upload, b"one", b"two"))
    opened = await store.blobs.open(BUCKET, "joined")
    assert await anext(opened.reader) == b"one"
    await put(store, "joined", b"another")
    with pytest.raises(Conflict):
        await anext(opened.reader)
    await opened.reader.aclose()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_parts_of_parts_are_those_of_the_whole(sizes: list[int], data: st.DataObject):
    size = sum(sizes)
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start, size - 1))
    place, found = 0, []
    for number, part in enumerate(sizes):
        if place <= end and place + part > start:
            extent = _within(start, end, str(number), place, part)
            assert extent.size_bytes > 0
            found += [place + extent.first + n for n in range(extent.size_bytes)]
        place += part
    assert found == list(range(start, end + 1))
