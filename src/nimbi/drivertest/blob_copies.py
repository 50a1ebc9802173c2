"""What holds for copies of blobs, for links to them, and for reads that are made on a condition."""

import pytest

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.drivertest.conformance import Conformance, fresh_name
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.oddities import FEW_ODD_IDS, ODD_NAMES
from nimbi.drivertest.streams import assert_same, content_of, drained, read, write
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import BlobCondition, BlobPlace, Bucket, ByteRange, NewBlob, NewBucket
from nimbi.model.errors import Conflict, Invalid, NotFound, Unsupported


class ConformsToBlobCopies(Conformance):
    @needs("write", "read", "copy", "get")
    async def test_a_copy_has_the_content_type_and_metadata_of_its_source(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        content = content_of(100_000)
        await write(
            cloud, bucket.id, "one", content, content_type="text/x-one", metadata={"a": "b"}
        )
        new = NewBlob(bucket_id=bucket.id, id="other")
        copied = await cloud.call(Blobs.copy, BlobPlace(bucket.id, "one"), new)
        assert (copied.id, copied.size_bytes) == ("other", len(content))
        found = await cloud.call(Blobs.get, bucket.id, "other")
        assert (found.content_type, dict(found.metadata)) == ("text/x-one", {"a": "b"})
        assert_same(await read(cloud, bucket.id, "other"), content)
        assert_same(await read(cloud, bucket.id, "one"), content)

    @needs("write", "read", "copy", "get")
    async def test_a_copy_takes_the_type_and_metadata_that_are_told(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        await write(
            cloud, bucket.id, "one", b"content", content_type="text/x-one", metadata={"a": "b"}
        )
        source = BlobPlace(bucket.id, "one")
        for id, new_type, metadata in (
            ("type", "text/x-other", {}),
            ("metadata", None, {"c": "d"}),
            ("both", "text/x-other", {"c": "d"}),
        ):
            wish = NewBlob(bucket_id=bucket.id, id=id, content_type=new_type, metadata=metadata)
            await cloud.call(Blobs.copy, source, wish)
            found = await cloud.call(Blobs.get, bucket.id, id)
            assert found.content_type == (new_type or "text/x-one"), id
            assert dict(found.metadata) == (metadata or {"a": "b"}), id
            assert await read(cloud, bucket.id, id) == b"content"

    @needs("write", "read", "copy", Buckets.create)
    async def test_a_copy_may_be_in_another_bucket(
        self, cloud: Cloud, made: Made, bucket: Bucket
    ) -> None:
        other = await made.create(Buckets, NewBucket(name=fresh_name()))
        await write(cloud, bucket.id, "a blob", b"content")
        new = NewBlob(bucket_id=other.id, id="a blob")
        await cloud.call(Blobs.copy, BlobPlace(bucket.id, "a blob"), new)
        assert await read(cloud, other.id, "a blob") == b"content"

    @needs("write", "read", "copy")
    @pytest.mark.parametrize("id", ODD_NAMES)
    async def test_a_blob_of_any_name_can_be_copied(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        try:
            await write(cloud, bucket.id, id, b"content")
        except Invalid:
            pytest.skip("no blob has this name")
        new = NewBlob(bucket_id=bucket.id, id="a copy")
        await cloud.call(Blobs.copy, BlobPlace(bucket.id, id), new)
        assert await read(cloud, bucket.id, "a copy") == b"content"

    @needs("copy", "page")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_a_copy_of_an_unknown_blob_is_not_found(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        new = NewBlob(bucket_id=bucket.id, id="a copy")
        with pytest.raises(NotFound):
            await cloud.call(Blobs.copy, BlobPlace(bucket.id, id), new)
        assert not (await cloud.call(Blobs.page, bucket.id, None, 10)).items

    @needs("write", "copy", "read")
    @needs_feature(Blobs, "write_condition")
    async def test_a_copy_that_is_to_be_new_replaces_nothing(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        await write(cloud, bucket.id, "one", b"one")
        await write(cloud, bucket.id, "other", b"other")
        new = NewBlob(bucket_id=bucket.id, id="other", only_new=True)
        with pytest.raises(Conflict):
            await cloud.call(Blobs.copy, BlobPlace(bucket.id, "one"), new)
        assert await read(cloud, bucket.id, "other") == b"other"

    @needs("write", "link")
    async def test_a_link_is_an_address_of_the_web(self, cloud: Cloud, bucket: Bucket) -> None:
        await write(cloud, bucket.id, "a blob ☃", b"content")
        link = await cloud.call(Blobs.link, bucket.id, "a blob ☃", 60)
        assert link.startswith(("https://", "http://"))
        assert link.isascii()
        assert link.isprintable()
        assert " " not in link

    @needs("link")
    @pytest.mark.parametrize("seconds", [0, -1, 7 * 24 * 3600 + 1])
    async def test_a_link_lasts_from_a_second_to_a_week(
        self, cloud: Cloud, bucket: Bucket, seconds: int
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Blobs.link, bucket.id, "a blob", seconds)

    @needs("write", "read")
    @needs_feature(Blobs, "read_condition")
    async def test_a_blob_is_read_only_as_the_one_that_is_expected(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        first = await write(cloud, bucket.id, "a blob", b"first")
        second = await write(cloud, bucket.id, "a blob", b"second")
        for etag, part, content in (
            (second.etag, None, b"second"),
            (second.etag, ByteRange(1, 2), b"ec"),
        ):
            where = BlobCondition(etag=etag)
            opened = await cloud.call(Blobs.read, bucket.id, "a blob", part, where)
            assert_same(await drained(opened), content)
        with pytest.raises(Conflict):
            where = BlobCondition(etag=first.etag)
            await cloud.call(Blobs.read, bucket.id, "a blob", None, where)

    @needs("write", "read")
    @needs_feature(Blobs, "read_condition")
    async def test_a_blob_is_read_only_when_it_is_another_than_the_known_one(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        first = await write(cloud, bucket.id, "a blob", b"first")
        with pytest.raises(Conflict):
            where = BlobCondition(other_than=first.etag)
            await cloud.call(Blobs.read, bucket.id, "a blob", None, where)
        await write(cloud, bucket.id, "a blob", b"second")
        opened = await cloud.call(
            Blobs.read, bucket.id, "a blob", None, BlobCondition(other_than=first.etag)
        )
        assert await drained(opened) == b"second"

    @needs("read")
    async def test_a_condition_of_a_read_that_is_not_honoured_is_refused(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        if "read_condition" in cloud.features(Blobs):
            pytest.skip(f"{cloud.driver.name} honours blobs.read_condition")
        with pytest.raises(Unsupported):
            await cloud.call(Blobs.read, bucket.id, "a blob", None, BlobCondition(etag="e"))
