"""Blobs, whose ids are the names of objects."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from msgspec.structs import replace

from nimbi.driver.blobs import Blobs
from nimbi.drivers.openstack.objects import copies, links, listing, reading, removal, uploads
from nimbi.drivers.openstack.objects.client import Call, ObjectClient
from nimbi.drivers.openstack.objects.conditions import seen
from nimbi.drivers.openstack.objects.facts import blob_of, is_manifest, kept
from nimbi.drivers.openstack.objects.names import (
    check_content_type,
    in_path,
    known_bucket,
    known_key,
    metadata_headers,
    metadata_of,
)
from nimbi.drivers.openstack.objects.writing import described, write
from nimbi.drivers.openstack.session import Session
from nimbi.model.buckets import (
    Blob,
    BlobCondition,
    BlobContent,
    BlobFailure,
    BlobFilter,
    BlobPage,
    BlobPlace,
    ByteRange,
    NewBlob,
    Segment,
    Upload,
)
from nimbi.model.errors import NotFound


class SwiftBlobs(Blobs):
    """Blobs. The etag of one that came up in one request is the MD5 of its content."""

    features: ClassVar[frozenset[str]] = frozenset({"prefix", "delimiter", "read_condition"})

    def __init__(self, session: Session) -> None:
        self.client: ObjectClient = session.objects
        if session.settings.write_conditions:
            vars(self)["features"] = type(self).features | {"write_condition"}

    async def page(
        self, bucket_id: str, marker: str | None, limit: int, where: BlobFilter = BlobFilter()
    ) -> BlobPage:
        return await listing.page_of(self.client, bucket_id, marker, limit, where)

    async def get(self, bucket_id: str, id: str) -> Blob:
        path = in_path(known_bucket(bucket_id), known_key(id))
        answer = await self.client.send(Call("HEAD", f"the blob {id[:80]!r}", path))
        return blob_of(bucket_id, id, answer.headers)

    async def read(
        self,
        bucket_id: str,
        id: str,
        range: ByteRange | None = None,
        where: BlobCondition = BlobCondition(),
    ) -> BlobContent:
        return await reading.read(self.client, bucket_id, id, range, where)

    async def link(self, bucket_id: str, id: str, seconds: int) -> str:
        return await links.link(self.client, bucket_id, id, seconds)

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        written = await write(self.client, new, chunks)
        if written.etag is None:
            return await self.get(new.bucket_id, new.id)
        headers = described(new, await self.client.limits())
        return Blob(
            id=new.id,
            bucket_id=new.bucket_id,
            size_bytes=written.size_bytes,
            content_type=headers["Content-Type"],
            modified_at=datetime.now(UTC),
            etag=written.etag,
            metadata=metadata_of(headers),
        )

    async def copy(self, source: BlobPlace, new: NewBlob) -> Blob:
        return await copies.copy(self.client, source, new)

    async def set_metadata(self, bucket_id: str, id: str, metadata: Mapping[str, str]) -> Blob:
        bucket, key, what = known_bucket(bucket_id), known_key(id), f"the blob {id[:80]!r}"
        told = metadata_headers(metadata, await self.client.limits())
        found = await seen(self.client, bucket, key)
        if found is None:
            raise NotFound(f"there is no blob {id[:80]!r}")
        blob = blob_of(bucket, key, found)
        # What else describes the content is forgotten when it is not told again.
        headers = {**kept(found), **told, "Content-Type": check_content_type(blob.content_type)}
        call = Call("POST", what, in_path(bucket, key), headers=headers, changes=True)
        await self.client.send(call)
        return replace(blob, metadata=metadata_of(told), modified_at=datetime.now(UTC))

    async def destroy(self, bucket_id: str, id: str) -> None:
        bucket, key = known_bucket(bucket_id), known_key(id)
        found = await seen(self.client, bucket, key)
        if found is not None and is_manifest(found):
            await removal.remove_large(self.client, bucket, key)
            return
        call = Call("DELETE", f"the blob {id[:80]!r}", in_path(bucket, key), changes=True)
        await self.client.send(call)

    async def destroy_many(self, bucket_id: str, ids: tuple[str, ...]) -> tuple[BlobFailure, ...]:
        return await removal.destroy_many(self.client, known_bucket(bucket_id), ids)

    async def begin_upload(self, new: NewBlob) -> Upload:
        return await uploads.begin(self.client, new)

    async def write_segment(
        self,
        upload: Upload,
        order: int,
        chunks: AsyncIterator[bytes],
        size_bytes: int | None = None,
    ) -> Segment:
        return await uploads.put(self.client, upload, order, chunks, size_bytes)

    async def finish_upload(self, upload: Upload, segments: tuple[Segment, ...]) -> Blob:
        await uploads.finish(self.client, upload, segments)
        return await self.get(upload.bucket_id, upload.blob_id)

    async def abort_upload(self, upload: Upload) -> None:
        await uploads.abort(self.client, upload)
