"""Blobs of the mock cloud: their facts in the world, their bytes in files."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import ClassVar
from urllib.parse import quote

import msgspec

from nimbi.driver.blobs import Blobs
from nimbi.drivers.mock.contents import Stored
from nimbi.drivers.mock.naming import checked, shown
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.spool import Pieces
from nimbi.drivers.mock.table import PlainTable
from nimbi.drivers.mock.world import OpenUpload, State
from nimbi.model.buckets import (
    Blob,
    BlobCondition,
    BlobContent,
    BlobFailure,
    BlobFilter,
    BlobPage,
    BlobPlace,
    ByteRange,
    FilePart,
    NewBlob,
    Segment,
    Upload,
)
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.page import Page

LONGEST_NAME = 1024
MOST_SEGMENTS = 10_000
# Metadata travel as HTTP headers, of which servers and proxies take about 8 KiB.
MOST_METADATA = 8 * 1024
# RFC 9110, section 5.6.2: what the name of a header is made of.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


@offered
class MockBlobs(OfSession, Blobs):
    """Blobs. The etag is made up at each write, and names the file of the content."""

    features: ClassVar[frozenset[str]] = frozenset(
        {"prefix", "delimiter", "write_condition", "read_condition"}
    )

    async def page(
        self, bucket_id: str, marker: str | None, limit: int, where: BlobFilter = BlobFilter()
    ) -> BlobPage:
        blobs = _bucket(self.session.state, bucket_id)
        prefix, delimiter = where.prefix or "", where.delimiter or ""
        if not (prefix or delimiter):
            page = self.paged(blobs, marker, limit, bucket_id)
            return BlobPage(page.items, page.next)
        scope = f"{bucket_id}\0{len(prefix)}\0{prefix}{delimiter}"
        return _told(self.paged(_entries(blobs, prefix, delimiter), marker, limit, scope))

    async def get(self, bucket_id: str, id: str) -> Blob:
        return _bucket(self.session.state, bucket_id).get(id, "blob")

    async def read(
        self,
        bucket_id: str,
        id: str,
        range: ByteRange | None = None,
        where: BlobCondition = BlobCondition(),
    ) -> BlobContent:
        blob, pieces = self._opened(bucket_id, id)
        try:
            _expect(blob, where)
            first, last = _part(blob, range)
        except (Conflict, Invalid):
            await pieces.aclose()
            raise
        size = last - first + 1
        pieces.limit(first, size)
        file = FilePart(pieces.descriptor, first, size)
        return BlobContent(blob=blob, first=first, last=last, chunks=pieces, file=file)

    async def link(self, bucket_id: str, id: str, seconds: int) -> str:
        """Return a URL of a host that RFC 2606 keeps from ever being one: nothing answers there."""
        _bucket(self.session.state, bucket_id)
        until = int(datetime.now(UTC).timestamp()) + seconds
        return f"http://blobs.mock.invalid/{quote(bucket_id)}/{quote(id)}?until={until}"

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        _check(self.session.state, new)
        async with self.session.cloud.contents.received(chunks, new.size_bytes) as stored:
            with self.session.change() as state:
                blob, replaced = _keep(state, new, stored)
        await self._forget(replaced)
        return blob

    async def copy(self, source: BlobPlace, new: NewBlob) -> Blob:
        operation = f"blobs.copy {new.bucket_id} {new.id}"
        _check(self.session.state, new)
        blob, pieces = self._opened(source.bucket_id, source.id)
        pieces.limit(0, blob.size_bytes)
        kept = msgspec.structs.replace(
            new,
            content_type=blob.content_type if new.content_type is None else new.content_type,
            metadata=new.metadata or blob.metadata,
        )
        async with self.session.cloud.contents.received(pieces, blob.size_bytes) as stored:
            with self.session.change() as state:
                if state.made_with(operation, new.token):
                    # Asked again: what was made stays, whatever its condition says by now.
                    kept = msgspec.structs.replace(kept, only_new=None, only_over=None)
                copied, replaced = _keep(state, kept, stored)
                state.remember(operation, new.token, new.id)
        await self._forget(replaced)
        return copied

    async def set_metadata(self, bucket_id: str, id: str, metadata: Mapping[str, str]) -> Blob:
        _check_metadata(metadata)
        with self.session.change() as state:
            blobs = _bucket(state, bucket_id)
            blob = msgspec.structs.replace(blobs.get(id, "blob"), metadata=dict(metadata))
            state.blobs = {**state.blobs, bucket_id: blobs.having(blob)}
            return blob

    async def destroy(self, bucket_id: str, id: str) -> None:
        with self.session.change() as state:
            blobs = _bucket(state, bucket_id)
            blob = blobs.get(id, "blob")
            _put_table(state, bucket_id, blobs.without(id))
        await self._forget(blob)

    async def destroy_many(self, bucket_id: str, ids: tuple[str, ...]) -> tuple[BlobFailure, ...]:
        with self.session.change() as state:
            blobs = _bucket(state, bucket_id)
            gone = [blob for id in set(ids) if (blob := blobs.find(id)) is not None]
            if gone:
                _put_table(state, bucket_id, blobs.without(*(blob.id for blob in gone)))
        await self.session.cloud.contents.remove(*(blob.etag for blob in gone if blob.etag))
        return ()

    async def begin_upload(self, new: NewBlob) -> Upload:
        with self.session.change() as state:
            _check(state, new)
            made = state.made_with("blobs.begin_upload", new.token)
            id = made[0] if made else token_hex(16)
            upload = Upload(id=id, bucket_id=new.bucket_id, blob_id=new.id)
            if made:
                _check_upload(state, upload)
                return upload
            self.session.cloud.contents.begin_upload(id)
            state.uploads = state.uploads.having(
                OpenUpload(id=id, new=msgspec.structs.replace(new, token=None))
            )
            state.remember("blobs.begin_upload", new.token, id)
            return upload

    async def write_segment(
        self,
        upload: Upload,
        order: int,
        chunks: AsyncIterator[bytes],
        size_bytes: int | None = None,
    ) -> Segment:
        _check_upload(self.session.state, upload)
        if not 1 <= order <= MOST_SEGMENTS:
            raise Invalid(f"the order of a segment is 1 to {MOST_SEGMENTS}, not {order}")
        return await self.session.cloud.contents.segment(upload.id, order, chunks, size_bytes)

    async def finish_upload(self, upload: Upload, segments: tuple[Segment, ...]) -> Blob:
        new = _check_upload(self.session.state, upload)
        ordered = tuple(sorted(segments, key=lambda segment: segment.order))
        if not ordered or len({segment.order for segment in ordered}) < len(ordered):
            raise Invalid("an upload is finished by one or more segments, each order once")
        async with self.session.cloud.contents.joined(upload.id, ordered) as stored:
            with self.session.change() as state:
                _check_upload(state, upload)
                blob, replaced = _keep(state, new, stored)
                state.uploads = state.uploads.without(upload.id)
        await self.session.cloud.contents.remove(upload.id)
        await self._forget(replaced)
        return blob

    async def abort_upload(self, upload: Upload) -> None:
        with self.session.change() as state:
            _check_upload(state, upload)
            state.uploads = state.uploads.without(upload.id)
        await self.session.cloud.contents.remove(upload.id)

    def _opened(self, bucket_id: str, id: str) -> tuple[Blob, Pieces]:
        while True:
            blob = _bucket(self.session.state, bucket_id).get(id, "blob")
            try:
                return blob, self.session.cloud.contents.open(blob.etag or "")
            except FileNotFoundError:
                # Another process has replaced the blob between the two lines above.
                present = _bucket(self.session.state, bucket_id).find(id)
                if present is not None and present.etag == blob.etag:
                    raise NotFound(f"the content of the blob {id!r} is gone") from None

    async def _forget(self, blob: Blob | None) -> None:
        if blob is not None and blob.etag is not None:
            await self.session.cloud.contents.remove(blob.etag)


@dataclass(frozen=True)
class Folder:
    """What a list tells in place of the blobs whose ids begin with its own."""

    id: str


def _entries(blobs: PlainTable[Blob], prefix: str, delimiter: str) -> PlainTable[Blob | Folder]:
    found: dict[str, Blob | Folder] = {}
    for blob in blobs.whole.items:
        if blob.id.startswith(prefix):
            at = blob.id.find(delimiter, len(prefix)) if delimiter else -1
            entry = blob if at < 0 else Folder(blob.id[: at + len(delimiter)])
            found[entry.id] = entry
    return PlainTable(found.values())


def _told(page: Page[Blob | Folder]) -> BlobPage:
    blobs = tuple(entry for entry in page.items if isinstance(entry, Blob))
    folders = tuple(entry.id for entry in page.items if isinstance(entry, Folder))
    return BlobPage(blobs, page.next, folders)


def _bucket(state: State, bucket_id: str) -> PlainTable[Blob]:
    state.buckets.get(bucket_id, "bucket")
    return state.blobs[bucket_id]


def _keep(state: State, new: NewBlob, stored: Stored) -> tuple[Blob, Blob | None]:
    """Return the new blob, and the one in whose place it is."""
    blobs = _bucket(state, new.bucket_id)
    present = blobs.find(new.id)
    if new.only_new and present is not None:
        raise Conflict(f"there is a blob {new.id!r} already")
    if new.only_over is not None and (present is None or present.etag != new.only_over):
        raise Conflict(f"the blob {new.id!r} is not the expected one")
    blob = Blob(
        id=new.id,
        bucket_id=new.bucket_id,
        size_bytes=stored.size_bytes,
        content_type=new.content_type,
        modified_at=datetime.now(UTC),
        etag=stored.name,
        metadata=dict(new.metadata),
    )
    _put_table(state, new.bucket_id, blobs.having(blob))
    return blob, present


def _put_table(state: State, bucket_id: str, blobs: PlainTable[Blob]) -> None:
    bucket = state.buckets.get(bucket_id, "bucket")
    state.blobs = {**state.blobs, bucket_id: blobs}
    state.buckets = state.buckets.having(msgspec.structs.replace(bucket, blob_count=len(blobs)))


def _expect(blob: Blob, where: BlobCondition) -> None:
    if where.etag is not None and blob.etag != where.etag:
        raise Conflict(f"the blob {blob.id!r} is not the expected one")
    if where.other_than is not None and blob.etag == where.other_than:
        raise Conflict(f"the blob {blob.id!r} is still the same")


def _part(blob: Blob, asked: ByteRange | None) -> tuple[int, int]:
    """Return the first and last byte of what is asked."""
    end = blob.size_bytes - 1
    if asked is None:
        return 0, end
    first, last = asked.first, end if asked.last is None else min(asked.last, end)
    if first < 0:
        first, last = max(0, blob.size_bytes + first), end
    if first > last:
        raise Invalid(f"the blob {blob.id!r} has {blob.size_bytes} bytes, none in the range asked")
    return first, last


def _check(state: State, new: NewBlob) -> None:
    _bucket(state, new.bucket_id)
    checked(new.id, "the name of the blob", LONGEST_NAME)
    shown(new.content_type or "", "the content type")
    _check_metadata(new.metadata)
    if new.size_bytes is not None and new.size_bytes < 0:
        raise Invalid(f"a blob can't have {new.size_bytes} bytes")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if sum(len(name) + len(value) for name, value in metadata.items()) > MOST_METADATA:
        raise Invalid(f"the metadata of a blob may have {MOST_METADATA} characters in all")
    if len({name.lower() for name in metadata}) < len(metadata):
        raise Invalid("two names of metadata differ only in case")
    for name, value in metadata.items():
        if not _TOKEN.match(name):
            raise Invalid(f"{name!r} can't name metadata: it is no HTTP token")
        shown(value, f"the metadata {name!r}", MOST_METADATA)


def _check_upload(state: State, upload: Upload) -> NewBlob:
    """Return what was told of the blob. Raises NotFound unless the upload is under way."""
    new = state.uploads.get(upload.id, "upload").new
    if (upload.bucket_id, upload.blob_id) != (new.bucket_id, new.id):
        raise NotFound(f"the upload {upload.id!r} is not of this blob")
    return new
