"""Buckets of the local cloud, each under its own name as its id."""

from nimbi.blobstore import Bucket as Kept
from nimbi.driver.blobs import Buckets
from nimbi.drivers.local.session import OfSession
from nimbi.model.buckets import Bucket, NewBucket
from nimbi.model.page import Page


class LocalBuckets(OfSession, Buckets):
    """Buckets in the store of this machine."""

    async def page(self, marker: str | None, limit: int) -> Page[Bucket]:
        found = await self.cloud.blobs.buckets.all()
        return self.paged(map(_told, found), marker, limit, lambda bucket: bucket.id)

    async def get(self, id: str) -> Bucket:
        return _told(await self.cloud.blobs.buckets.get(id))

    async def create(self, new: NewBucket) -> Bucket:
        return _told(await self.cloud.blobs.buckets.create(new.name, new.token))

    async def destroy(self, id: str) -> None:
        await self.cloud.blobs.buckets.destroy(id)


def _told(bucket: Kept) -> Bucket:
    return Bucket(
        id=bucket.name,
        name=bucket.name,
        blob_count=bucket.blob_count,
        created_at=bucket.created_at,
    )
