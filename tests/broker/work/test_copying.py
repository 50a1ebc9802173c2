"""Blobs copied from cloud to cloud."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.broker.work.shop import Shop

from nimbi.drivers.mock.faults import LostReply, Outage
from nimbi.model.buckets import NewBlob, NewBucket
from nimbi.model.jobs import Job, JobState
from nimbi.model.work import BlobAt, Copied, CopyBlob

PART = 5 << 20
SMALL = b"a small thing"
LARGE = bytes(range(256)) * (12 << 12)


async def chunked(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1 << 20):
        yield content[at : at + (1 << 20)]


@dataclass
class Store:
    """Buckets of both accounts."""

    shop: Shop

    async def put(self, content: bytes, at: BlobAt) -> None:
        async with self.shop.whole.broker.accounts.use(at.account) as cloud:
            new = NewBlob(bucket_id=at.bucket, id=at.id, content_type="text/x", metadata={"a": "b"})
            await cloud.blobs.write(new, chunked(content))

    async def content(self, at: BlobAt) -> bytes:
        async with self.shop.whole.broker.accounts.use(at.account) as cloud:
            found = await cloud.blobs.read(at.bucket, at.id)
            return b"".join([chunk async for chunk in found.chunks])

    def uploads(self) -> int:
        return len(self.shop.state("b").uploads.whole.items)

    def has(self, at: BlobAt) -> bool:
        return self.shop.state(at.account).blobs[at.bucket].find(at.id) is not None

    async def failed(self, copy: CopyBlob) -> Job:
        return await self.shop.ended(await self.shop.started("copy-blob", copy))


SOURCE = BlobAt(account="a", bucket="from", id="thing")
TARGET = BlobAt(account="b", bucket="to", id="folder/thing")
COPY = CopyBlob(source=SOURCE, target=TARGET, part_bytes=PART)


@pytest.fixture
async def store(shop: Shop) -> Store:
    for account, bucket in (("a", "from"), ("b", "to"), ("a", "to")):
        async with shop.whole.broker.accounts.use(account) as cloud:
            await cloud.buckets.create(NewBucket(name=bucket))
    return Store(shop)


async def test_a_small_blob_is_copied_with_all_that_is_told_of_it(store: Store) -> None:
    await store.put(SMALL, SOURCE)
    copied = await store.shop.did("copy-blob", COPY, Copied)
    assert await store.content(TARGET) == SMALL
    assert (copied.parts, copied.verified) == (1, True)
    assert copied.sha256 == hashlib.sha256(SMALL).hexdigest()
    blob = store.shop.state("b").blobs["to"].get(TARGET.id, "blob")
    assert (blob.content_type, blob.metadata) == ("text/x", {"a": "b"})


async def test_an_empty_blob_is_copied(store: Store) -> None:
    await store.put(b"", SOURCE)
    copied = await store.shop.did("copy-blob", COPY, Copied)
    assert (copied.size_bytes, await store.content(TARGET)) == (0, b"")


async def test_a_large_blob_is_copied_in_parts(store: Store) -> None:
    await store.put(LARGE, SOURCE)
    copied = await store.shop.did("copy-blob", COPY, Copied)
    assert await store.content(TARGET) == LARGE
    assert (copied.parts, copied.verified, copied.size_bytes) == (3, True, len(LARGE))
    assert store.uploads() == 0


async def test_within_one_account_the_cloud_copies(store: Store) -> None:
    await store.put(LARGE, SOURCE)
    target = BlobAt(account="a", bucket="to", id="other")
    copied = await store.shop.did("copy-blob", CopyBlob(source=SOURCE, target=target), Copied)
    assert await store.content(target) == LARGE
    assert copied.sha256 is None


async def test_only_the_parts_that_failed_come_again(store: Store) -> None:
    await store.put(LARGE, SOURCE)
    store.shop.spoil("b", outage=Outage(operations=("blobs.write_segment",), calls=2))
    await store.shop.did("copy-blob", COPY, Copied)
    assert await store.content(TARGET) == LARGE


async def test_a_lost_reply_at_the_end_is_looked_after(store: Store) -> None:
    await store.put(LARGE, SOURCE)
    store.shop.spoil("b", lost_reply=LostReply(operations=("blobs.finish_upload",), calls=1))
    copied = await store.shop.did("copy-blob", COPY, Copied)
    assert await store.content(TARGET) == LARGE
    assert copied.verified


async def test_a_cancelled_copy_leaves_nothing(store: Store) -> None:
    await store.put(LARGE, SOURCE)
    store.shop.spoil("b", outage=Outage(operations=("blobs.write_segment",)))
    job = await store.shop.started("copy-blob", COPY)
    await store.shop.until(lambda: store.uploads() == 1)
    await store.shop.whole.broker.jobs.cancel(job.id, job.owner)
    assert (await store.shop.ended(job)).state is JobState.CANCELLED
    assert store.uploads() == 0
    assert not store.has(TARGET)


async def test_a_copy_of_nothing_fails_and_leaves_nothing(store: Store) -> None:
    job = await store.failed(COPY)
    assert job.error is not None
    assert job.error.code == "not_found"
    assert store.uploads() == 0


async def test_a_copy_into_nowhere_fails(store: Store) -> None:
    await store.put(LARGE, SOURCE)
    target = BlobAt(account="b", bucket="nowhere", id="x")
    job = await store.failed(CopyBlob(source=SOURCE, target=target, part_bytes=PART))
    assert job.error is not None
    assert job.error.code == "not_found"
