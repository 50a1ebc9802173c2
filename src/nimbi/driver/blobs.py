"""Interfaces of object storage: buckets, and blobs streamed in and out."""

from collections.abc import AsyncIterator, Mapping
from typing import ClassVar

from nimbi.driver.operation import Collection, repeatable, safe
from nimbi.model.buckets import (
    Blob,
    BlobCondition,
    BlobContent,
    BlobFailure,
    BlobFilter,
    BlobPage,
    BlobPlace,
    Bucket,
    ByteRange,
    NewBlob,
    NewBucket,
    Segment,
    Upload,
)
from nimbi.model.page import Page


class Buckets(Collection):
    """Named containers of blobs."""

    name: ClassVar[str] = "buckets"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Bucket]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Bucket:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewBucket) -> Bucket:
        """Return the bucket. Raises Conflict when the name is in use."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove an empty bucket. Raises Conflict when blobs are in it."""
        raise NotImplementedError


class Blobs(Collection):
    """Bytes under a name in a bucket. A blob is named by its bucket and its own id.

    Writes are atomic: a blob is seen whole or not at all, and a torn write leaves what was there.
    """

    name: ClassVar[str] = "blobs"

    @safe
    async def page(
        self, bucket_id: str, marker: str | None, limit: int, where: BlobFilter = BlobFilter()
    ) -> BlobPage:
        """Return blobs in the order of their ids. Raises NotFound for an unknown bucket.

        A marker is of one filter.
        """
        raise NotImplementedError

    @safe
    async def get(self, bucket_id: str, id: str) -> Blob:
        raise NotImplementedError

    @safe
    async def read(
        self,
        bucket_id: str,
        id: str,
        range: ByteRange | None = None,
        where: BlobCondition = BlobCondition(),
    ) -> BlobContent:
        """Open a blob, or a part of it.

        Raises Invalid for a range wholly outside of it, Conflict when a condition does not hold.
        """
        raise NotImplementedError

    @safe
    async def link(self, bucket_id: str, id: str, seconds: int) -> str:
        """Return a URL by which anybody may read the blob for so long (1 to 604800 seconds).

        The cloud itself answers there. Whether there is such a blob need not be looked at.
        """
        raise NotImplementedError

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        """Store the content under its name, replacing what was there, metadata too.

        Raises Conflict when a condition of `new` does not hold.
        """
        raise NotImplementedError

    @repeatable
    async def copy(self, source: BlobPlace, new: NewBlob) -> Blob:
        """Store the content of another blob under a name, without moving it through here.

        No content type, and no metadata, is that of the source. `new.size_bytes` is not looked at.
        Raises NotFound for an unknown source, Conflict when a condition of `new` does not hold.
        """
        raise NotImplementedError

    @repeatable
    async def set_metadata(self, bucket_id: str, id: str, metadata: Mapping[str, str]) -> Blob:
        """Replace all metadata."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, bucket_id: str, id: str) -> None:
        raise NotImplementedError

    @repeatable
    async def destroy_many(self, bucket_id: str, ids: tuple[str, ...]) -> tuple[BlobFailure, ...]:
        """Destroy 1 to 1000 blobs, and return those that could not be, in no order.

        What is not there counts as destroyed. Raises NotFound for an unknown bucket, and what
        concerns all of them alike; some may be gone then.
        """
        raise NotImplementedError

    @repeatable
    async def begin_upload(self, new: NewBlob) -> Upload:
        """Begin a segmented upload; `new.size_bytes` is not looked at.

        The conditions of `new` must hold when the upload is finished.
        """
        raise NotImplementedError

    async def write_segment(
        self,
        upload: Upload,
        order: int,
        chunks: AsyncIterator[bytes],
        size_bytes: int | None = None,
    ) -> Segment:
        """Store one part, 1 to 10000; the same order again replaces it.

        Raises NotFound for an unknown upload, Invalid when the content is not of the told size.
        """
        raise NotImplementedError

    async def finish_upload(self, upload: Upload, segments: tuple[Segment, ...]) -> Blob:
        """Make the blob of these segments, in their order. Raises Invalid for one it never gave."""
        raise NotImplementedError

    @repeatable
    async def abort_upload(self, upload: Upload) -> None:
        """Forget the upload and its segments."""
        raise NotImplementedError
