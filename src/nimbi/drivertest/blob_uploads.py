"""What holds for segmented uploads: parts in any order, and nothing to see before the end."""

from typing import ClassVar

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.streams import (
    Torn,
    assert_same,
    content_of,
    in_chunks,
    read,
    torn_after,
    write,
)
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket, NewBlob, Segment, Upload
from nimbi.model.errors import Invalid, NotFound

WHOLE = ("begin_upload", "write_segment", "finish_upload")


class ConformsToBlobUploads(Conformance):
    # Some clouds ask for a least size of all segments but the last.
    segment_bytes: ClassVar[int] = 64 * 1024 + 1

    @pytest.fixture
    async def upload(self, cloud: Cloud, bucket: Bucket) -> Upload:
        """An upload of `a blob` under way."""
        return await cloud.call(Blobs.begin_upload, NewBlob(bucket_id=bucket.id, id="a blob"))

    @needs(*WHOLE, "read")
    @pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)], ids=str)
    async def test_segments_sent_in_any_order_make_one_blob(
        self, cloud: Cloud, bucket: Bucket, upload: Upload, order: tuple[int, ...]
    ) -> None:
        parts = self.parts()
        sent = [await self.send(cloud, upload, n, parts[n - 1]) for n in order]
        segments = tuple(sorted(sent, key=lambda segment: segment.order))
        blob = await cloud.call(Blobs.finish_upload, upload, segments)
        assert blob.size_bytes == sum(map(len, parts))
        assert_same(await read(cloud, bucket.id, "a blob"), b"".join(parts))

    @needs(*WHOLE, "read")
    async def test_orders_with_gaps_are_joined_in_their_order(
        self, cloud: Cloud, bucket: Bucket, upload: Upload
    ) -> None:
        parts = self.parts()
        numbers = (1, 500, 10_000)
        sent = [
            await self.send(cloud, upload, n, part) for n, part in zip(numbers, parts, strict=True)
        ]
        await cloud.call(Blobs.finish_upload, upload, tuple(sent))
        assert_same(await read(cloud, bucket.id, "a blob"), b"".join(parts))

    @needs(*WHOLE, "read")
    async def test_the_same_order_again_replaces_the_segment(
        self, cloud: Cloud, bucket: Bucket, upload: Upload
    ) -> None:
        parts = self.parts()
        await self.send(cloud, upload, 1, b"old" * self.segment_bytes)
        last = await self.send(cloud, upload, 2, parts[2])
        first = await self.send(cloud, upload, 1, parts[0])
        await cloud.call(Blobs.finish_upload, upload, (first, last))
        assert await read(cloud, bucket.id, "a blob") == parts[0] + parts[2]

    @needs(*WHOLE, "get")
    async def test_what_is_told_at_the_beginning_is_kept(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        new = NewBlob(
            bucket_id=bucket.id,
            id="a blob",
            size_bytes=1,
            content_type="text/x-test",
            metadata={"colour": "blue"},
        )
        upload = await cloud.call(Blobs.begin_upload, new)
        assert (upload.bucket_id, upload.blob_id) == (bucket.id, "a blob")
        sent = await self.send(cloud, upload, 1, b"content")
        await cloud.call(Blobs.finish_upload, upload, (sent,))
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert (told.size_bytes, told.content_type) == (7, "text/x-test")
        assert {name.casefold(): value for name, value in told.metadata.items()} == {
            "colour": "blue"
        }

    @needs(*WHOLE, "get", "page")
    async def test_nothing_is_seen_before_the_end(
        self, cloud: Cloud, bucket: Bucket, upload: Upload
    ) -> None:
        sent = await self.send(cloud, upload, 1, b"content")
        with pytest.raises(NotFound):
            await cloud.call(Blobs.get, bucket.id, "a blob")
        assert not [blob async for blob in cloud.each(Blobs.page, bucket.id)]
        await cloud.call(Blobs.finish_upload, upload, (sent,))
        assert [blob.id async for blob in cloud.each(Blobs.page, bucket.id)] == ["a blob"]

    @needs(*WHOLE, "write", "read", "abort_upload")
    async def test_an_upload_under_way_leaves_what_is_there(
        self, cloud: Cloud, bucket: Bucket, upload: Upload
    ) -> None:
        await write(cloud, bucket.id, "a blob", b"before")
        await self.send(cloud, upload, 1, b"content")
        assert await read(cloud, bucket.id, "a blob") == b"before"
        await cloud.call(Blobs.abort_upload, upload)
        assert await read(cloud, bucket.id, "a blob") == b"before"

    @needs(*WHOLE, "read")
    async def test_two_uploads_of_one_blob_do_not_mix(
        self, cloud: Cloud, bucket: Bucket, upload: Upload
    ) -> None:
        other = await cloud.call(Blobs.begin_upload, NewBlob(bucket_id=bucket.id, id="a blob"))
        mine = await self.send(cloud, upload, 1, b"mine")
        theirs = await self.send(cloud, other, 1, b"theirs")
        await cloud.call(Blobs.finish_upload, other, (theirs,))
        assert await read(cloud, bucket.id, "a blob") == b"theirs"
        await cloud.call(Blobs.finish_upload, upload, (mine,))
        assert await read(cloud, bucket.id, "a blob") == b"mine"

    @needs("begin_upload", "write_segment", "finish_upload", "abort_upload")
    async def test_after_an_abort_the_upload_is_unknown(
        self, cloud: Cloud, bucket: Bucket, upload: Upload
    ) -> None:
        sent = await self.send(cloud, upload, 1, b"content")
        await cloud.call(Blobs.abort_upload, upload)
        with pytest.raises(NotFound):
            await self.send(cloud, upload, 2, b"content")
        with pytest.raises(NotFound):
            await cloud.call(Blobs.finish_upload, upload, (sent,))
        with pytest.raises(NotFound):
            await cloud.call(Blobs.get, bucket.id, "a blob")

    @needs(*WHOLE, "abort_upload")
    async def test_a_segment_that_was_never_given_is_invalid(
        self, cloud: Cloud, upload: Upload
    ) -> None:
        sent = await self.send(cloud, upload, 1, b"content")
        for wrong in (
            (sent, Segment(order=2, id="never-given")),
            (Segment(order=1, id="never-given"),),
            (Segment(order=2, id=sent.id),),
        ):
            with pytest.raises(Invalid):
                await cloud.call(Blobs.finish_upload, upload, wrong)
        await cloud.call(Blobs.abort_upload, upload)

    @needs(*WHOLE, "abort_upload")
    async def test_an_upload_of_no_segments_is_invalid(self, cloud: Cloud, upload: Upload) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Blobs.finish_upload, upload, ())
        await cloud.call(Blobs.abort_upload, upload)

    @needs(*WHOLE, "abort_upload")
    @pytest.mark.parametrize("order", [0, -1, 10_001])
    async def test_an_order_outside_of_1_to_10000_is_invalid(
        self, cloud: Cloud, upload: Upload, order: int
    ) -> None:
        with pytest.raises(Invalid):
            await self.send(cloud, upload, order, b"content")
        await cloud.call(Blobs.abort_upload, upload)

    @needs(*WHOLE, "read")
    @pytest.mark.parametrize("size_bytes", [0, 6, 8])
    async def test_a_segment_not_of_the_told_size_is_invalid_and_leaves_what_was_there(
        self, cloud: Cloud, bucket: Bucket, upload: Upload, size_bytes: int
    ) -> None:
        sent = await self.send(cloud, upload, 1, b"before")
        with pytest.raises(Invalid):
            await cloud.call(Blobs.write_segment, upload, 1, in_chunks(b"content"), size_bytes)
        await cloud.call(Blobs.finish_upload, upload, (sent,))
        assert await read(cloud, bucket.id, "a blob") == b"before"

    @needs(*WHOLE, "read")
    async def test_an_interrupted_segment_leaves_what_was_there(
        self, cloud: Cloud, bucket: Bucket, upload: Upload
    ) -> None:
        sent = await self.send(cloud, upload, 1, b"before")
        with pytest.raises(Torn):
            await cloud.call(Blobs.write_segment, upload, 1, torn_after(content_of(100_000)))
        await cloud.call(Blobs.finish_upload, upload, (sent,))
        assert await read(cloud, bucket.id, "a blob") == b"before"

    @needs("begin_upload")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_upload_to_an_unknown_bucket_is_not_found(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Blobs.begin_upload, NewBlob(bucket_id=id, id="a blob"))

    @needs(*WHOLE)
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_unknown_upload_is_not_found(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        upload = Upload(id=id, bucket_id=bucket.id, blob_id="a blob")
        with pytest.raises(NotFound):
            await self.send(cloud, upload, 1, b"content")
        with pytest.raises(NotFound):
            await cloud.call(Blobs.finish_upload, upload, (Segment(order=1, id="x"),))

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Return three contents that differ, the last one smaller."""
        size = self.segment_bytes
        whole = content_of(2 * size + 100)
        return whole[:size], whole[size : 2 * size], whole[2 * size :]

    async def send(self, cloud: Cloud, upload: Upload, order: int, content: bytes) -> Segment:
        segment = await cloud.call(
            Blobs.write_segment, upload, order, in_chunks(content), len(content)
        )
        assert segment.order == order
        return segment
