"""Bytes on their way from one cloud to another, counted and digested as they pass."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import msgspec

from nimbi.broker.work.ground import WorkGround
from nimbi.gateway.cloud import Cloud
from nimbi.jobs import Work
from nimbi.model.buckets import BlobContent, ByteRange, NewBlob, Segment, Upload
from nimbi.model.errors import CloudError, Conflict
from nimbi.model.work import BlobAt, CopyBlob


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What was stored: a part's id, or the whole's etag, and the digest of what passed here."""

    id: str | None
    sha256: str | None = None


@dataclass
class Digest:
    """The bytes of a content as they pass by."""

    content: BlobContent
    sha: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    count: int = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes. Raises CloudError when they end early, so that no torn copy is kept."""
        async for chunk in self.content.chunks:
            self.sha.update(chunk)
            self.count += len(chunk)
            yield chunk
        if self.count != self.content.size_bytes:
            raise CloudError(
                f"the source gave {self.count} bytes instead of {self.content.size_bytes}"
            )


class Streams:
    """The streams of one copy. `etag` is that of the source; another content is a Conflict."""

    def __init__(self, ground: WorkGround, work: Work, copy: CopyBlob) -> None:
        self._ground = ground
        self._work = work
        self._copy = copy

    async def store(self, new: NewBlob, etag: str | None) -> Stored:
        """Store the whole blob."""
        async with AsyncExitStack() as stack:
            source, target = await self._clouds(stack)
            content = await opened(source, self._copy.source, None, etag, stack)
            digest = Digest(content)
            blob = await target.blobs.write(new, digest.chunks())
        return Stored(id=blob.etag, sha256=digest.sha.hexdigest())

    async def store_part(
        self, upload: Upload, order: int, part: ByteRange, etag: str | None
    ) -> Stored:
        """Store one part of an upload."""
        async with AsyncExitStack() as stack:
            source, target = await self._clouds(stack)
            content = await opened(source, self._copy.source, part, etag, stack)
            digest = Digest(content)
            chunks = digest.chunks()
            segment: Segment = await target.blobs.write_segment(
                upload, order, chunks, content.size_bytes
            )
        return Stored(id=segment.id, sha256=digest.sha.hexdigest())

    async def digest(self, part: ByteRange | None, etag: str | None) -> str:
        """Return the digest of what is at the target now."""
        async with AsyncExitStack() as stack:
            cloud = await stack.enter_async_context(
                self._ground.cloud(self._work, self._copy.target.account)
            )
            digest = Digest(await opened(cloud, self._copy.target, part, etag, stack))
            async for _ in digest.chunks():
                pass
        return digest.sha.hexdigest()

    async def _clouds(self, stack: AsyncExitStack) -> tuple[Cloud, Cloud]:
        source, target = self._copy.source.account, self._copy.target.account
        first = await stack.enter_async_context(self._ground.cloud(self._work, source))
        second = await stack.enter_async_context(self._ground.cloud(self._work, target))
        return first, second


async def opened(
    cloud: Cloud, at: BlobAt, part: ByteRange | None, etag: str | None, stack: AsyncExitStack
) -> BlobContent:
    """Open a blob or a part of it until the stack closes. Raises Conflict for another content."""
    content = await cloud.blobs.read(at.bucket, at.id, part)
    closed = getattr(content.chunks, "aclose", None)
    if closed is not None:
        stack.push_async_callback(closed)
    if etag is not None and content.blob.etag is not None and content.blob.etag != etag:
        raise Conflict(f"{at.account}:{at.bucket}/{at.id} was changed meanwhile")
    return content
