"""What holds for writes of blobs that are made on a condition."""

import asyncio

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.streams import in_chunks, read, write
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Blob, Bucket, NewBlob
from nimbi.model.errors import Conflict, Unsupported


class ConformsToBlobConditions(Conformance):
    @needs("write", "read")
    @needs_feature(Blobs, "write_condition")
    async def test_only_new_writes_once(self, cloud: Cloud, bucket: Bucket) -> None:
        new = NewBlob(bucket_id=bucket.id, id="a blob", only_new=True)
        await cloud.call(Blobs.write, new, in_chunks(b"first"))
        with pytest.raises(Conflict):
            await cloud.call(Blobs.write, new, in_chunks(b"second"))
        assert await read(cloud, bucket.id, "a blob") == b"first"

    @needs("write", "read")
    @needs_feature(Blobs, "write_condition")
    async def test_of_many_who_write_only_what_is_new_one_does(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        new = NewBlob(bucket_id=bucket.id, id="a blob", only_new=True)
        letters = [bytes([letter]) * 70_000 for letter in b"abcdefgh"]
        answers = await asyncio.gather(
            *(cloud.call(Blobs.write, new, in_chunks(letter)) for letter in letters),
            return_exceptions=True,
        )
        written = [n for n, answer in enumerate(answers) if isinstance(answer, Blob)]
        assert len(written) == 1
        assert sum(isinstance(answer, Conflict) for answer in answers) == len(letters) - 1
        assert await read(cloud, bucket.id, "a blob") == letters[written[0]]

    @needs("write", "read")
    @needs_feature(Blobs, "write_condition")
    async def test_only_over_an_etag_writes_over_that_and_nothing_else(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        first = await write(cloud, bucket.id, "a blob", b"first")
        new = NewBlob(bucket_id=bucket.id, id="a blob", only_over=first.etag)
        await cloud.call(Blobs.write, new, in_chunks(b"second"))
        with pytest.raises(Conflict):
            await cloud.call(Blobs.write, new, in_chunks(b"third"))
        assert await read(cloud, bucket.id, "a blob") == b"second"

    @needs("write", "page")
    @needs_feature(Blobs, "write_condition")
    async def test_only_over_an_etag_writes_nothing_where_nothing_is(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        new = NewBlob(bucket_id=bucket.id, id="a blob", only_over="an etag")
        with pytest.raises(Conflict):
            await cloud.call(Blobs.write, new, in_chunks(b"content"))
        assert not (await cloud.call(Blobs.page, bucket.id, None, 10)).items

    @needs("begin_upload", "write_segment", "finish_upload", "abort_upload", "write", "read")
    @needs_feature(Blobs, "write_condition")
    async def test_the_condition_of_an_upload_must_hold_at_its_end(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        new = NewBlob(bucket_id=bucket.id, id="a blob", only_new=True)
        upload = await cloud.call(Blobs.begin_upload, new)
        segment = await cloud.call(Blobs.write_segment, upload, 1, in_chunks(b"segment"))
        await write(cloud, bucket.id, "a blob", b"came between")
        with pytest.raises(Conflict):
            await cloud.call(Blobs.finish_upload, upload, (segment,))
        assert await read(cloud, bucket.id, "a blob") == b"came between"
        await cloud.call(Blobs.abort_upload, upload)

    @needs("write")
    async def test_a_condition_that_is_not_honoured_is_refused(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        if "write_condition" in cloud.features(Blobs):
            pytest.skip(f"{cloud.driver.name} honours blobs.write_condition")
        new = NewBlob(bucket_id=bucket.id, id="a blob", only_new=True)
        with pytest.raises(Unsupported):
            await cloud.call(Blobs.write, new, in_chunks(b"content"))
