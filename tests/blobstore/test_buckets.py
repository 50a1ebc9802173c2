"""Buckets."""

import pytest
from tests.blobstore.conftest import BUCKET, put

from nimbi.blobstore import BlobStore, Conflict, Invalid, NotFound


async def test_a_token_makes_one_bucket(store: BlobStore):
    first = await store.buckets.create("made", "token")
    assert await store.buckets.create("made", "token") == first
    with pytest.raises(Conflict):
        await store.buckets.create("made", "another token")
    with pytest.raises(Conflict):
        await store.buckets.create("other", "token")
    assert [bucket.name for bucket in await store.buckets.all()] == [BUCKET, "made"]


async def test_a_bucket_with_blobs_stays(store: BlobStore):
    await put(store, "a", b"x")
    with pytest.raises(Conflict):
        await store.buckets.destroy(BUCKET)
    await store.blobs.destroy(BUCKET, "a")
    await store.buckets.destroy(BUCKET)
    with pytest.raises(NotFound):
        await store.buckets.get(BUCKET)


async def test_the_count_is_that_of_the_blobs(store: BlobStore):
    for name in ("a", "b", "a"):
        await put(store, name, b"x")
    assert (await store.buckets.get(BUCKET)).blob_count == 2


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "n" * 1025, "\ud800"])
async def test_what_no_path_could_tell_is_no_name(store: BlobStore, name: str):
    with pytest.raises(Invalid):
        await store.buckets.create(name)


async def test_a_bucket_may_be_named_in_any_letters(store: BlobStore):
    await store.buckets.create("Größe ✓\n")
    assert (await store.buckets.get("Größe ✓\n")).blob_count == 0
