"""Buckets of the mock cloud."""

from datetime import UTC, datetime
from typing import ClassVar

from nimbi.driver.blobs import Buckets
from nimbi.drivers.mock.naming import checked, shown
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.table import PlainTable
from nimbi.model.buckets import Bucket, NewBucket
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.page import Page


@offered
class MockBuckets(OfSession, Buckets):
    """Buckets, each under its own name as its id."""

    features: ClassVar[frozenset[str]] = frozenset({"bucket_location"})

    async def page(self, marker: str | None, limit: int) -> Page[Bucket]:
        return self.paged(self.session.state.buckets, marker, limit)

    async def get(self, id: str) -> Bucket:
        return self.session.state.buckets.get(id, "bucket")

    async def create(self, new: NewBucket) -> Bucket:
        name = checked(new.name, "the name of the bucket")
        # Neither could be told apart in the path of a URL.
        if "/" in name or name in {".", ".."}:
            raise Invalid(f"a bucket can't be named {name!r}")
        with self.session.change() as state:
            if made := state.made_with("buckets.create", new.token):
                return state.buckets.get(made[0], "bucket")
            if name in state.buckets:
                raise Conflict(f"there is a bucket {name!r} already")
            bucket = Bucket(
                id=name,
                name=name,
                blob_count=0,
                location=shown(new.location or "", "the location of the bucket") or None,
                created_at=datetime.now(UTC),
            )
            state.buckets = state.buckets.having(bucket)
            state.blobs = {**state.blobs, name: PlainTable()}
            state.remember("buckets.create", new.token, name)
            return bucket

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            state.buckets.get(id, "bucket")
            if count := len(state.blobs[id]):
                raise Conflict(f"the bucket {id!r} is not empty: it has {count} blobs")
            uploads = state.uploads.where(lambda upload: upload.new.bucket_id == id)
            state.uploads = state.uploads.where(lambda upload: upload.new.bucket_id != id)
            state.buckets = state.buckets.without(id)
            state.blobs = {name: table for name, table in state.blobs.items() if name != id}
        await self.session.cloud.contents.remove(*(upload.id for upload in uploads.whole.items))
