"""The bytes of images on their way up and down, compared with their checksums."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Self
from uuid import uuid4

from nimbi.drivers.openstack.calls import lost
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import CloudError, CloudUnavailable, UnknownOutcome
from nimbi.model.images import ImageContent
from nimbi.wire.http import HttpError, Stream

IMAGES = "/images"
BYTES = {"Content-Type": "application/octet-stream"}

# A cloud has one algorithm for all new images.
ALGORITHM_AGE_S = 3600.0
DEFAULT_ALGORITHM = "sha512"

# How often a torn image is taken away, before it is left as it is.
ATTEMPTS = 4
FIRST_PAUSE_S = 0.5

Json = Mapping[str, Any]


class Digest:
    """The checksum of bytes that pass. An algorithm that this machine lacks counts only them."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.size_bytes = 0
        known = algorithm in hashlib.algorithms_available
        self._hash = hashlib.new(algorithm, usedforsecurity=False) if known else None

    def update(self, chunk: bytes) -> None:
        """Count some bytes."""
        self.size_bytes += len(chunk)
        if self._hash is not None:
            self._hash.update(chunk)

    def check(self, image: Json) -> None:
        """Raise CloudError unless these are the bytes that Glance tells of."""
        algorithm, value = checksum_of(image)
        size = image.get("size")
        same_size = size is None or size == self.size_bytes
        comparable = self._hash is not None and value is not None and algorithm == self.algorithm
        if same_size and (not comparable or self._value() == value):
            return
        raise CloudError(f"the bytes of the image {image['id']!r} differ from its checksum")

    def _value(self) -> str | None:
        return self._hash.hexdigest() if self._hash is not None else None


def checksum_of(image: Json) -> tuple[str, str | None]:
    """Return the algorithm and the checksum that Glance tells; old ones know MD5 only."""
    algorithm, value = image.get("os_hash_algo"), image.get("os_hash_value")
    if algorithm and value:
        return algorithm, value
    return "md5", image.get("checksum")


async def uploaded(
    session: Session, facts: Json, chunks: AsyncIterator[bytes], size_bytes: int | None
) -> Json:
    """Return what Glance tells of a new image with these facts and bytes.

    When anything goes wrong, or the caller gives up, nothing is left.
    """
    id = str(uuid4())
    digest = Digest(await _algorithm(session))
    # Cut off in its midst, it might be carried out after the removal.
    making = asyncio.create_task(session.post("image", IMAGES, {**facts, "id": id}))
    try:
        await asyncio.shield(making)
        return await _filled(session, id, chunks, size_bytes, digest)
    except BaseException:

        async def removed() -> None:
            await _removed(session, id, making)

        # Goes on when the caller does not wait for it either.
        await session.backend.cached(("torn image", id), 0.0, removed)
        raise


async def _filled(
    session: Session,
    id: str,
    chunks: AsyncIterator[bytes],
    size_bytes: int | None,
    digest: Digest,
) -> Json:
    is_over = False

    async def passed() -> AsyncIterator[bytes]:
        nonlocal is_over
        async for chunk in chunks:
            digest.update(chunk)
            yield chunk
        is_over = True

    path = f"{IMAGES}/{id}"
    put = session.stream(
        "PUT",
        "image",
        f"{path}/file",
        headers=BYTES,
        body=passed(),
        size_bytes=size_bytes,
        changes=True,
    )
    try:
        async with put:
            pass
    except UnknownOutcome:
        image = await session.get("image", path)
        if not is_over or image.get("status") != "active":
            raise
    else:
        image = await session.get("image", path)
    digest.check(image)
    told: Json = image
    return told


async def _removed(session: Session, id: str, making: "asyncio.Task[Any]") -> None:
    await asyncio.wait([making])
    error = making.exception()
    if isinstance(error, OpenStackError) and error.status < 500:
        return
    for attempt in range(ATTEMPTS):
        try:
            await session.delete("image", f"{IMAGES}/{id}")
        except OpenStackError as refused:
            if refused.status == 404:
                return
        except CloudError:
            pass
        else:
            return
        await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)


async def _algorithm(session: Session) -> str:
    """Return the algorithm of the checksums that Glance makes, as some image shows it."""

    async def asked() -> str:
        query = {"limit": 1, "status": "active", "sort_key": "created_at", "sort_dir": "desc"}
        answer = await session.get("image", IMAGES, query)
        images = answer["images"]
        return checksum_of(images[0])[0] if images else DEFAULT_ALGORITHM

    return await session.backend.cached(("checksums", *session.key), ALGORITHM_AGE_S, asked)


async def opened(session: Session, image: Json) -> ImageContent:
    """Open an image that Glance tells of."""
    answer = session.stream("GET", "image", f"{IMAGES}/{image['id']}/file", changes=False)
    stream = await answer.__aenter__()
    return ImageContent(image.get("size"), Reader(answer, stream, image))


class Reader(AsyncIterator[bytes]):
    """The bytes of an open image."""

    def __init__(
        self, answer: AbstractAsyncContextManager[Stream], stream: Stream, image: Json
    ) -> None:
        self._answer = answer
        self._chunks = stream.chunks
        self._image = image
        self._digest = Digest(checksum_of(image)[0])
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
            self._digest.check(self._image)
            raise
        except HttpError as error:
            await self.aclose()
            raise _broken(error) from error
        except BaseException:
            await self.aclose()
            raise
        self._digest.update(chunk)
        return chunk

    async def aclose(self) -> None:
        """End it; the connection is kept only when all was read."""
        if self._is_open:
            self._is_open = False
            await self._answer.__aexit__(None, None, None)


def _broken(error: HttpError) -> CloudUnavailable | UnknownOutcome:
    return lost(str(error), changes=False)
