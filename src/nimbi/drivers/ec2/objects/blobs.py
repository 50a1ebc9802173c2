"""Blobs, whose ids are S3's keys."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import ClassVar

import msgspec

from nimbi.driver.blobs import Blobs
from nimbi.drivers.ec2.objects import copies, reading, removal
from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.facts import blob_of, write_conditions
from nimbi.drivers.ec2.objects.listing import page_of
from nimbi.drivers.ec2.objects.names import known_bucket, known_key, new_key
from nimbi.drivers.ec2.objects.rules import MOST_PART_BYTES, MOST_PARTS
from nimbi.drivers.ec2.objects.sessions import HasObjects
from nimbi.drivers.ec2.objects.uploads import Parts, begun
from nimbi.drivers.ec2.objects.writing import described, write
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
from nimbi.model.errors import Invalid, NotFound
from nimbi.wire.held import ALWAYS_BYTES, Held
from nimbi.wire.source import Source

LONGEST_LINK_S = 7 * 24 * 3600


class _UploadId(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """S3's id of an upload, with the conditions that S3 asks for at its end."""

    id: str
    only_new: bool | None
    only_over: str | None


class S3Blobs(Blobs):
    """Blobs. The etag of one that came up in one request is the MD5 of its content, as a rule."""

    features: ClassVar[frozenset[str]] = frozenset(
        {"prefix", "delimiter", "write_condition", "read_condition"}
    )

    def __init__(self, session: HasObjects) -> None:
        self.client: ObjectClient = session.objects
        if not self.client.has_conditions:
            # A condition that the store does not know would be taken for kept.
            vars(self)["features"] = type(self).features - {"write_condition"}

    async def page(
        self, bucket_id: str, marker: str | None, limit: int, where: BlobFilter = BlobFilter()
    ) -> BlobPage:
        return await page_of(self.client, bucket_id, marker, limit, where)

    async def get(self, bucket_id: str, id: str) -> Blob:
        what = f"the blob {id[:80]!r}"
        call = Call("HEAD", what, known_bucket(bucket_id), known_key(id))
        answer = await self.client.send(call)
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
        if not 1 <= seconds <= LONGEST_LINK_S:
            raise Invalid(f"a link is good for 1 to {LONGEST_LINK_S} seconds, not {seconds}")
        return await self.client.link(known_bucket(bucket_id), known_key(id), seconds)

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        _check(new)
        written = await write(self.client, new, chunks)
        if written.etag is None:
            return await self.get(new.bucket_id, new.id)
        return Blob(
            id=new.id,
            bucket_id=new.bucket_id,
            size_bytes=written.size_bytes,
            content_type=described(new)["Content-Type"],
            modified_at=datetime.now(UTC).replace(microsecond=0),
            etag=written.etag,
            metadata=dict(new.metadata),
        )

    async def copy(self, source: BlobPlace, new: NewBlob) -> Blob:
        _check(new)
        return await copies.copy(
            self.client,
            source,
            BlobPlace(new.bucket_id, new.id),
            write_conditions(new),
            content_type=new.content_type,
            metadata=new.metadata or None,
        )

    async def set_metadata(self, bucket_id: str, id: str, metadata: Mapping[str, str]) -> Blob:
        place = BlobPlace(known_bucket(bucket_id), known_key(id))
        return await copies.copy(self.client, place, place, {}, metadata=metadata)

    async def destroy(self, bucket_id: str, id: str) -> None:
        # S3 says the same whether there was a blob or not.
        await self.get(bucket_id, id)
        await self.client.send(Call("DELETE", f"the blob {id[:80]!r}", bucket_id, id, changes=True))

    async def destroy_many(self, bucket_id: str, ids: tuple[str, ...]) -> tuple[BlobFailure, ...]:
        return await removal.remove(self.client, bucket_id, ids)

    async def begin_upload(self, new: NewBlob) -> Upload:
        _check(new)
        write_conditions(new)
        parts = await begun(self.client, new.bucket_id, new.id, described(new))
        told = _UploadId(parts.id, new.only_new, new.only_over)
        id = urlsafe_b64encode(msgspec.json.encode(told)).decode()
        return Upload(id=id, bucket_id=new.bucket_id, blob_id=new.id)

    async def write_segment(
        self,
        upload: Upload,
        order: int,
        chunks: AsyncIterator[bytes],
        size_bytes: int | None = None,
    ) -> Segment:
        parts, _told = self._opened(upload)
        if not 1 <= order <= MOST_PARTS:
            raise Invalid(f"the order of a segment is 1 to {MOST_PARTS}, not {order}")
        if size_bytes is not None and not 0 <= size_bytes <= MOST_PART_BYTES:
            raise Invalid(f"a segment has 0 to {MOST_PART_BYTES} bytes (5 GiB), not {size_bytes}")
        source = Source(chunks, size_bytes, MOST_PART_BYTES, Invalid)
        if size_bytes is not None and size_bytes > max(self.client.room.free_bytes, ALWAYS_BYTES):
            etag = await parts.put_once(order, source.take(size_bytes), size_bytes)
            return Segment(order=order, id=etag)
        held = Held(self.client.room)
        try:
            await held.fill(source, MOST_PART_BYTES)
            return Segment(order=order, id=await parts.put(order, held))
        finally:
            held.close()

    async def finish_upload(self, upload: Upload, segments: tuple[Segment, ...]) -> Blob:
        parts, told = self._opened(upload)
        orders = {segment.order for segment in segments}
        if not orders or len(orders) < len(segments):
            raise Invalid("an upload is finished by one or more segments, each order once")
        new = NewBlob(
            bucket_id=upload.bucket_id,
            id=upload.blob_id,
            only_new=told.only_new,
            only_over=told.only_over,
        )
        etags = [(segment.order, segment.id) for segment in segments]
        await parts.finish(etags, write_conditions(new))
        return await self.get(upload.bucket_id, upload.blob_id)

    async def abort_upload(self, upload: Upload) -> None:
        parts, _told = self._opened(upload)
        await parts.give_up()

    def _opened(self, upload: Upload) -> tuple[Parts, _UploadId]:
        """Return the upload as the store knows it. Raises NotFound for what can be none."""
        try:
            raw = urlsafe_b64decode(upload.id.encode("ascii"))
            told = msgspec.json.decode(raw, type=_UploadId)
        except ValueError:
            raise NotFound(f"there is no upload {upload.id[:80]!r}") from None
        bucket, key = known_bucket(upload.bucket_id), known_key(upload.blob_id)
        return Parts(self.client, bucket, key, told.id), told


def _check(new: NewBlob) -> None:
    known_bucket(new.bucket_id)
    new_key(new.id)
