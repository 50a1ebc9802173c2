"""Content on its way down, compared with its checksum where there is one."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Self

from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.facts import blob_of, md5_of, part_told, read_conditions
from nimbi.drivers.ec2.objects.names import known_bucket, known_key
from nimbi.model.buckets import BlobCondition, BlobContent, ByteRange, SocketPart
from nimbi.model.errors import CloudError, CloudUnavailable, Invalid
from nimbi.wire.http import SILENCE_S, Stream

# From so many bytes on it pays off to have the kernel move them, which costs the connection.
LEAST_MOVED_BYTES = 1024 * 1024


class Reader(AsyncIterator[bytes]):
    """The bytes of an open blob."""

    def __init__(
        self, answer: AbstractAsyncContextManager[Stream], stream: Stream, md5: str | None
    ) -> None:
        self._answer = answer
        self._chunks = stream.chunks
        self._md5 = md5
        self._digest = hashlib.md5(usedforsecurity=False) if md5 else None
        self._is_open = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_open:
            raise StopAsyncIteration
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            await self.aclose()
            if self._digest is not None and self._digest.hexdigest() != self._md5:
                raise CloudError("the content of the blob differs from its checksum") from None
            raise
        except BaseException as error:
            self._is_open = False
            # It says in our words what broke off.
            await self._answer.__aexit__(type(error), error, error.__traceback__)
            raise
        if self._digest is not None:
            self._digest.update(chunk)
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
    call = Call("GET", what, known_bucket(bucket), known_key(key), headers=headers)
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
    # The checksum is of what passes through here.
    socket = None if md5 else _socket(stream, last - first + 1)
    chunks = Reader(answer, stream, md5)
    return BlobContent(blob=blob, first=first, last=last, chunks=chunks, socket=socket)


def _socket(stream: Stream, size_bytes: int) -> SocketPart | None:
    rest = stream.rest() if size_bytes >= LEAST_MOVED_BYTES else None
    if rest is None or len(rest.head) + rest.size_bytes != size_bytes:
        return None
    return SocketPart(rest.descriptor, rest.head, rest.size_bytes, SILENCE_S)


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
