"""What holds for the content of blobs: it comes back whole, or was never there."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs
from nimbi.drivertest.streams import (
    Torn,
    assert_same,
    closed,
    content_of,
    drained,
    in_chunks,
    read,
    torn_after,
    write,
)
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket, NewBlob
from nimbi.model.errors import Invalid, NotFound

MIB = 2**20
SIZES = [0, 1, 64 * 1024 + 1, 5 * MIB]


class ConformsToBlobContent(Conformance):
    # The largest part of a blob that a driver may hold at once, and a blob larger than that.
    held_bytes: ClassVar[int] = 4 * MIB
    large_bytes: ClassVar[int] = 24 * MIB

    @needs("write", "read")
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
    async def test_content_comes_back_as_it_was_sent(
        self, cloud: Cloud, bucket: Bucket, size: int, told: bool
    ) -> None:
        content = content_of(size)
        blob = await write(cloud, bucket.id, "a blob", content, size_bytes=size if told else None)
        assert blob.size_bytes == size
        found = await cloud.call(Blobs.read, bucket.id, "a blob")
        assert_same(await drained(found), content)
        assert (found.blob.size_bytes, found.size_bytes, found.first) == (size, size, 0)

    @needs("write", "get")
    async def test_a_written_blob_is_what_is_told_of_it(self, cloud: Cloud, bucket: Bucket) -> None:
        blob = await write(cloud, bucket.id, "a blob", b"content", content_type="text/x-test")
        assert (blob.id, blob.bucket_id) == ("a blob", bucket.id)
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert (told.size_bytes, told.content_type) == (7, "text/x-test")

    @needs("write", "read")
    @pytest.mark.parametrize("size", [1, 3, 1000])
    async def test_the_way_it_was_cut_does_not_matter(
        self, cloud: Cloud, bucket: Bucket, size: int
    ) -> None:
        content = content_of(5000)
        new = NewBlob(bucket_id=bucket.id, id="a blob")
        await cloud.call(Blobs.write, new, in_chunks(content, size))
        assert_same(await read(cloud, bucket.id, "a blob"), content)

    @needs("write", "read")
    async def test_empty_chunks_do_not_end_it(self, cloud: Cloud, bucket: Bucket) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for chunk in (b"", b"con", b"", b"", b"tent", b""):
                yield chunk

        await cloud.call(Blobs.write, NewBlob(bucket_id=bucket.id, id="a blob"), chunks())
        assert await read(cloud, bucket.id, "a blob") == b"content"

    @needs("write", "read")
    async def test_a_second_write_replaces_the_first(self, cloud: Cloud, bucket: Bucket) -> None:
        await write(cloud, bucket.id, "a blob", content_of(70_000))
        await write(cloud, bucket.id, "a blob", b"new")
        assert await read(cloud, bucket.id, "a blob") == b"new"
        assert (await cloud.call(Blobs.get, bucket.id, "a blob")).size_bytes == 3

    @needs("write", "get")
    async def test_an_etag_changes_with_the_content(self, cloud: Cloud, bucket: Bucket) -> None:
        one = await write(cloud, bucket.id, "a blob", b"one")
        if one.etag is None:
            pytest.skip(f"{cloud.driver.name} has no etags")
        assert (await write(cloud, bucket.id, "a blob", b"other")).etag != one.etag
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert told.etag != one.etag

    @needs("write", "get")
    @pytest.mark.parametrize("size_bytes", [0, 6, 8, 100_000])
    async def test_content_not_of_the_told_size_is_invalid_and_leaves_no_trace(
        self, cloud: Cloud, bucket: Bucket, size_bytes: int
    ) -> None:
        with pytest.raises(Invalid):
            await write(cloud, bucket.id, "a blob", b"content", size_bytes=size_bytes)
        with pytest.raises(NotFound):
            await cloud.call(Blobs.get, bucket.id, "a blob")

    @needs("write", "read")
    @pytest.mark.parametrize("size_bytes", [0, 6, 8, 100_000])
    async def test_content_not_of_the_told_size_leaves_what_was_there(
        self, cloud: Cloud, bucket: Bucket, size_bytes: int
    ) -> None:
        before = await write(cloud, bucket.id, "a blob", b"before", metadata={"version": "1"})
        with pytest.raises(Invalid):
            await write(cloud, bucket.id, "a blob", b"content", size_bytes=size_bytes)
        assert await read(cloud, bucket.id, "a blob") == b"before"
        assert (await cloud.call(Blobs.get, bucket.id, "a blob")).metadata == before.metadata

    @needs("write", "get")
    @pytest.mark.parametrize("size", [0, 100, 300_000])
    async def test_an_interrupted_write_leaves_no_trace(
        self, cloud: Cloud, bucket: Bucket, size: int
    ) -> None:
        with pytest.raises(Torn):
            new = NewBlob(bucket_id=bucket.id, id="a blob")
            await cloud.call(Blobs.write, new, torn_after(content_of(size)))
        with pytest.raises(NotFound):
            await cloud.call(Blobs.get, bucket.id, "a blob")

    @needs("write", "read")
    @pytest.mark.parametrize("size", [0, 100, 300_000])
    async def test_an_interrupted_write_leaves_what_was_there(
        self, cloud: Cloud, bucket: Bucket, size: int
    ) -> None:
        await write(cloud, bucket.id, "a blob", b"before")
        with pytest.raises(Torn):
            new = NewBlob(bucket_id=bucket.id, id="a blob", size_bytes=size + 1)
            await cloud.call(Blobs.write, new, torn_after(content_of(size)))
        assert await read(cloud, bucket.id, "a blob") == b"before"

    @needs("write", "read")
    async def test_a_cancelled_write_leaves_what_was_there(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        await write(cloud, bucket.id, "a blob", b"before")
        begun = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield content_of(100_000)
            begun.set()
            await asyncio.Event().wait()

        new = NewBlob(bucket_id=bucket.id, id="a blob")
        writer = asyncio.ensure_future(cloud.call(Blobs.write, new, chunks()))
        waiter = asyncio.ensure_future(begun.wait())
        await asyncio.wait({writer, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        assert not writer.done(), "it did not read the content to its end"
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        assert await read(cloud, bucket.id, "a blob") == b"before"

    @needs("write", "read")
    async def test_a_reader_sees_one_version_while_another_is_written(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        old, new = content_of(300_000), b"new" * 100_000
        await write(cloud, bucket.id, "a blob", old)
        found = await cloud.call(Blobs.read, bucket.id, "a blob")
        first = await anext(found.chunks)
        await write(cloud, bucket.id, "a blob", new)
        try:
            rest = await drained(found)
        except NotFound:
            return
        assert first + rest in {old, new}

    @needs("write", "get", "read")
    async def test_of_many_writers_at_once_one_wins_whole(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        contents = [bytes([letter]) * 70_000 for letter in b"abcdefgh"]
        await asyncio.gather(*(write(cloud, bucket.id, "a blob", c) for c in contents))
        assert await read(cloud, bucket.id, "a blob") in contents

    @needs("write", "read")
    async def test_a_reader_who_leaves_early_disturbs_nobody(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        content = content_of(300_000)
        await write(cloud, bucket.id, "a blob", content)
        found = await cloud.call(Blobs.read, bucket.id, "a blob")
        await anext(found.chunks)
        await closed(found)
        assert_same(await read(cloud, bucket.id, "a blob"), content)

    @needs("write", "read")
    async def test_a_large_blob_is_read_in_little_memory(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        await self.write_large(cloud, bucket)
        found = await cloud.call(Blobs.read, bucket.id, "large")
        with _Peak() as peak:
            size = 0
            async for chunk in found.chunks:
                size += len(chunk)
                assert len(chunk) <= self.held_bytes
        assert size == self.large_bytes
        assert peak.bytes <= self.held_bytes

    @needs("write")
    async def test_a_large_blob_is_written_in_little_memory(
        self, cloud: Cloud, bucket: Bucket, in_memory: bool
    ) -> None:
        if in_memory:
            pytest.skip(f"{cloud.driver.name} keeps blobs in this process")
        with _Peak() as peak:
            await self.write_large(cloud, bucket)
        assert peak.bytes <= self.held_bytes

    @pytest.fixture
    async def in_memory(self) -> bool:
        """Whether the memory of this process is where the cloud keeps its blobs."""
        return False

    async def write_large(self, cloud: Cloud, bucket: Bucket) -> None:
        chunk = content_of(64 * 1024)

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(self.large_bytes // len(chunk)):
                yield bytes(chunk)

        new = NewBlob(bucket_id=bucket.id, id="large", size_bytes=self.large_bytes)
        await cloud.call(Blobs.write, new, chunks())


class _Peak:
    """How many bytes more than at its start this process held within a block."""

    bytes: int = 0

    def __enter__(self) -> "_Peak":
        tracemalloc.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
