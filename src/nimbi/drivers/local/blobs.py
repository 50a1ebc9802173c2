"""Blobs of the local cloud, in files on this machine."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from nimbi import blobstore
from nimbi.driver.blobs import Blobs
from nimbi.drivers.local.session import OfSession
from nimbi.model.buckets import (
    Blob,
    BlobCondition,
    BlobContent,
    BlobFailure,
    BlobFilter,
    BlobPage,
    ByteRange,
    FilePart,
    NewBlob,
    Segment,
    Upload,
)
from nimbi.model.errors import Conflict


class LocalBlobs(OfSession, Blobs):
    """Blobs. The etag is the SHA-256 of the content, or of those of its segments with `-count`."""

    features: ClassVar[frozenset[str]] = frozenset(
        {"prefix", "delimiter", "write_condition", "read_condition"}
    )

    async def page(
        self, bucket_id: str, marker: str | None, limit: int, where: BlobFilter = BlobFilter()
    ) -> BlobPage:
        prefix, delimiter = where.prefix or "", where.delimiter or ""
        scope = f"{len(bucket_id)}\0{bucket_id}{len(prefix)}\0{prefix}{delimiter}"
        after = None if marker is None else self.unsealed(marker, scope)
        found = await self.cloud.blobs.blobs.page(
            bucket_id, prefix=prefix, delimiter=delimiter, after=after, limit=limit
        )
        next = None if found.last is None else self.sealed(found.last, scope)
        return BlobPage(tuple(_all(bucket_id, found.blobs)), next, found.prefixes)

    async def get(self, bucket_id: str, id: str) -> Blob:
        return _told(bucket_id, await self.cloud.blobs.blobs.get(bucket_id, id))

    async def read(
        self,
        bucket_id: str,
        id: str,
        range: ByteRange | None = None,
        where: BlobCondition = BlobCondition(),
    ) -> BlobContent:
        part = () if range is None else (range.first, range.last)
        opened = await self.cloud.blobs.blobs.open(bucket_id, id, *part)
        etag = opened.blob.etag
        if where.etag not in {None, etag} or where.other_than == etag:
            await opened.reader.aclose()
            raise Conflict(f"the blob {id!r} is not as the condition says")
        file = opened.reader.whole
        return BlobContent(
            blob=_told(bucket_id, opened.blob),
            first=opened.first,
            last=opened.last,
            chunks=opened.reader,
            file=None if file is None else FilePart(file.descriptor, file.first, file.size_bytes),
        )

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        return _told(new.bucket_id, await self.cloud.blobs.blobs.write(_wish(new), chunks))

    async def set_metadata(self, bucket_id: str, id: str, metadata: Mapping[str, str]) -> Blob:
        return _told(bucket_id, await self.cloud.blobs.blobs.set_metadata(bucket_id, id, metadata))

    async def destroy(self, bucket_id: str, id: str) -> None:
        await self.cloud.blobs.blobs.destroy(bucket_id, id)

    async def destroy_many(self, bucket_id: str, ids: tuple[str, ...]) -> tuple[BlobFailure, ...]:
        await self.cloud.blobs.blobs.destroy_many(bucket_id, set(ids))
        return ()

    async def begin_upload(self, new: NewBlob) -> Upload:
        begun = await self.cloud.blobs.uploads.begin(_wish(new), new.token)
        return Upload(id=begun.id, bucket_id=begun.bucket, blob_id=begun.name)

    async def write_segment(
        self,
        upload: Upload,
        order: int,
        chunks: AsyncIterator[bytes],
        size_bytes: int | None = None,
    ) -> Segment:
        kept = await self.cloud.blobs.uploads.write(_kept(upload), order, chunks, size_bytes)
        return Segment(order=kept.order, id=kept.id)

    async def finish_upload(self, upload: Upload, segments: tuple[Segment, ...]) -> Blob:
        given = [blobstore.Segment(segment.order, segment.id) for segment in segments]
        made = await self.cloud.blobs.uploads.finish(_kept(upload), given)
        return _told(upload.bucket_id, made)

    async def abort_upload(self, upload: Upload) -> None:
        await self.cloud.blobs.uploads.abort(_kept(upload))


def _wish(new: NewBlob) -> blobstore.NewBlob:
    return blobstore.NewBlob(
        bucket=new.bucket_id,
        name=new.id,
        size_bytes=new.size_bytes,
        content_type=new.content_type,
        metadata=new.metadata,
        expected_etag=new.only_over,
        is_new=bool(new.only_new),
    )


def _kept(upload: Upload) -> blobstore.Upload:
    return blobstore.Upload(upload.id, upload.bucket_id, upload.blob_id)


def _told(bucket_id: str, blob: blobstore.Blob) -> Blob:
    (told,) = _all(bucket_id, (blob,))
    return told


def _all(bucket_id: str, blobs: Iterable[blobstore.Blob]) -> list[Blob]:
    at = datetime.fromtimestamp
    # In one go and without a call for each: lists are long.
    return [
        Blob(
            id=name,
            bucket_id=bucket_id,
            size_bytes=size_bytes,
            content_type=content_type,
            modified_at=at(modified_us / 1e6, UTC),
            etag=etag,
            metadata=metadata,
        )
        for name, size_bytes, etag, content_type, modified_us, metadata in blobs
    ]
