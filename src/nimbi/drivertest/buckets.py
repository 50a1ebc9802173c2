"""What holds for buckets on every cloud."""

from typing import ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToUniqueNaming, Wish
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.streams import write
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket, NewBucket
from nimbi.model.errors import Conflict
from nimbi.model.resource import Resource


class ConformsToBuckets(ConformsToUniqueNaming):
    interface: ClassVar[type[Collection]] = Buckets
    kind: ClassVar[type[Resource]] = Bucket

    @pytest.fixture
    async def wish(self) -> Wish:
        return lambda: NewBucket(name=fresh_name())

    @needs("create", "get")
    async def test_a_new_bucket_is_empty(self, cloud: Cloud, bucket: Bucket) -> None:
        assert (await cloud.call(Buckets.get, bucket.id)).blob_count in {None, 0}

    @needs("create", Blobs.page)
    async def test_a_new_bucket_lists_no_blobs(self, cloud: Cloud, bucket: Bucket) -> None:
        assert not [blob async for blob in cloud.each(Blobs.page, bucket.id)]

    @needs("create", "get", Blobs.write, Blobs.destroy)
    async def test_a_count_of_blobs_is_right_when_it_is_told(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        for id in ("one", "two", "two"):
            await write(cloud, bucket.id, id, b"content")
        assert (await cloud.call(Buckets.get, bucket.id)).blob_count in {None, 2}
        await cloud.call(Blobs.destroy, bucket.id, "one")
        assert (await cloud.call(Buckets.get, bucket.id)).blob_count in {None, 1}

    @needs("create", "destroy", "get", Blobs.write)
    async def test_a_bucket_with_a_blob_in_it_stays(self, cloud: Cloud, bucket: Bucket) -> None:
        await write(cloud, bucket.id, "a blob", b"content")
        with pytest.raises(Conflict):
            await cloud.call(Buckets.destroy, bucket.id)
        assert (await cloud.call(Blobs.get, bucket.id, "a blob")).size_bytes == 7

    @needs("create", "destroy", Blobs.write, Blobs.destroy)
    async def test_a_bucket_that_became_empty_can_go(
        self, cloud: Cloud, made: Made, bucket: Bucket
    ) -> None:
        await write(cloud, bucket.id, "a blob", b"content")
        await cloud.call(Blobs.destroy, bucket.id, "a blob")
        await made.destroy(Buckets, bucket.id)

    @needs("create", "destroy", Blobs.page, Blobs.write)
    async def test_a_bucket_made_again_is_empty(
        self, cloud: Cloud, made: Made, bucket: Bucket
    ) -> None:
        await write(cloud, bucket.id, "a blob", b"content")
        await made.destroy(Buckets, bucket.id)
        again = await made.create(Buckets, NewBucket(name=bucket.name))
        assert not [blob async for blob in cloud.each(Blobs.page, again.id)]

    @needs("create", "get")
    @needs_feature(Buckets, "bucket_location")
    async def test_a_location_is_kept(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        location = await self.location(cloud)
        new = await made.create(Buckets, replace(wish(), location=location))
        assert (await cloud.call(Buckets.get, new.id)).location == location

    async def location(self, cloud: Cloud) -> str:
        """Return a place where buckets can be: that of a listed one, else that of a new one."""
        for bucket in await self.things(cloud, ()):
            if bucket.location is not None:
                return str(bucket.location)
        pytest.skip(f"no bucket of {cloud.driver.name} tells its location: override `location`")
