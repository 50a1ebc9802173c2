"""Content on its way down, compared with its checksum where there is one."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Self

from nimbi.drivers.openstack.objects.client import Call, ObjectClient
from nimbi.drivers.openstack.objects.digests import Digest
from nimbi.drivers.openstack.objects.facts import blob_of, md5_of, part_told, read_conditions
from nimbi.drivers.openstack.objects.names import in_path, known_bucket, known_key
from nimbi.model.buckets import BlobCondition, BlobContent, ByteRange
from nimbi.model.errors import CloudError, CloudUnavailable, Invalid
from nimbi.wire.http import Stream


class Reader(AsyncIterator[bytes]):
    """The bytes of an open blob."""

    def __init__(
        self, answer: AbstractAsyncContextManager[Stream], stream: Stream, md5: str | None
    ) -> None:
        self._answer = answer
        self._chunks = stream.chunks
        self._md5 = md5
        self._digest = Digest() if md5 else None
        self._is_open = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_open:
            raise StopAsyncIteration
        try:
            chunk = await anext(self._chunks)
            if self._digest is not None:
                await self._digest.update(chunk)
        except StopAsyncIteration:
            await self.aclose()
            if self._digest is not None and await self._digest.text() != self._md5:
                raise CloudError("the content of the blob differs from its checksum") from None
            raise
        except BaseException as error:
            self._is_open = False
            # It says in our words what broke off.
            await self._answer.__aexit__(type(error), error, error.__traceback__)
            raise
        return chunk

    async def aclose(self) -> None:
        """End it; the connection is kept only when all was read."""
        if self._is_open:
            self._is_open = False
            await self._answer.__aexit__(None, None, None)


async def read(
    client: ObjectClient,
    bucket: str,
    key: str,
    part: ByteRange | None,
    where: BlobCondition,
) -> BlobContent:
    """Open a blob, or a part of it."""
    what = f"the blob {key[:80]!r}"
    headers = read_conditions(where)
    if part is not None:
        headers["Range"] = _header(part, what)
    call = Call("GET", what, in_path(known_bucket(bucket), known_key(key)), headers=headers)
    answer = client.stream(call)
    stream = await answer.__aenter__()
    try:
        blob = blob_of(bucket, key, stream.headers)
        told = part_told(stream.headers) if stream.status == 206 else None
        first, last = told or (0, blob.size_bytes - 1)
        if part is not None and told is None:
            _check_whole(part, blob.size_bytes, what)
    except BaseException as error:
        await answer.__aexit__(type(error), error, error.__traceback__)
        raise
    is_whole = last - first + 1 == blob.size_bytes
    verified = is_whole and blob.size_bytes <= client.rules.verified_bytes
    md5 = md5_of(stream.headers) if verified else None
    return BlobContent(blob=blob, first=first, last=last, chunks=Reader(answer, stream, md5))


def _header(part: ByteRange, what: str) -> str:
    if part.first < 0:
        return f"bytes={part.first}"
    if part.last is None:
        return f"bytes={part.first}-"
    if part.last < part.first:
        raise Invalid(f"{what}: the range ends before it begins")
    return f"bytes={part.first}-{part.last}"


def _check_whole(part: ByteRange, size_bytes: int, what: str) -> None:
    """Raise unless the part that was asked for is the whole, which came instead of it."""
    if size_bytes == 0:
        raise Invalid(f"{what} has no bytes, and so no range")
    is_whole = -part.first >= size_bytes if part.first < 0 else part.first == 0
    ends = part.first < 0 or part.last is None or part.last >= size_bytes - 1
    if not (is_whole and ends):
        raise CloudUnavailable(f"{what}: the store gives no parts of blobs")
