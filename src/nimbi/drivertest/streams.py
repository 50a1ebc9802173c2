"""Content of blobs on its way up and down."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Blob, BlobContent, ByteRange, NewBlob
from nimbi.model.images import ImageContent

CHUNK = 64 * 1024


class Torn(Exception):
    """The sender went away in the middle."""


def content_of(size: int) -> bytes:
    """Return bytes that are never the same for long, so that a misplaced part is seen."""
    block = b"".join(number.to_bytes(4, "big") for number in range(min(size, 2**20) // 4 + 1))
    return (block * (size // len(block) + 1))[:size]


def assert_same(content: bytes, wanted: bytes) -> None:
    """Fail unless the content is as wanted, and tell where it begins to differ.

    What pytest itself would tell of two long contents takes it minutes to find.
    """
    if content == wanted:
        return
    pairs = enumerate(zip(content, wanted, strict=False))
    at = next((at for at, (one, other) in pairs if one != other), min(len(content), len(wanted)))
    pytest.fail(f"{len(content)} bytes instead of {len(wanted)}; they differ from byte {at} on")


async def in_chunks(content: bytes, size: int = CHUNK) -> AsyncIterator[bytes]:
    """Yield the content in parts of `size`."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def torn_after(content: bytes) -> AsyncIterator[bytes]:
    """Yield the content, and break off."""
    async for chunk in in_chunks(content):
        yield chunk
    raise Torn


async def write(
    cloud: Cloud,
    bucket_id: str,
    id: str,
    content: bytes,
    *,
    size_bytes: int | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Blob:
    """Return the blob that was written."""
    new = NewBlob(
        bucket_id=bucket_id,
        id=id,
        size_bytes=size_bytes,
        content_type=content_type,
        metadata=metadata or {},
    )
    return await cloud.call(Blobs.write, new, in_chunks(content))


async def drained(content: BlobContent | ImageContent) -> bytes:
    """Return all that comes of an open blob or image."""
    return b"".join([chunk async for chunk in content.chunks])


async def closed(content: BlobContent | ImageContent) -> None:
    """Give an open blob or image up before its end."""
    close: Callable[[], Awaitable[None]] = getattr(content.chunks, "aclose")  # noqa: B009  untyped
    await close()


async def read(cloud: Cloud, bucket_id: str, id: str, range: ByteRange | None = None) -> bytes:
    """Return the bytes of a blob, or of a part of it."""
    return await drained(await cloud.call(Blobs.read, bucket_id, id, range))
