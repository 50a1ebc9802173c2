"""Blobs and images on their way from the server: their facts, and their bytes as they come."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from nimbi.client.flow import Received
from nimbi.client.transport import Answer, AsyncAnswer
from nimbi.model.buckets import Blob
from nimbi.model.errors import Conflict

METADATA = "x-nimbi-meta-"

NOT_MODIFIED = 304


class SyncContent:
    """An open blob or image, for blocking callers. Read `chunks` to the end, or close it.

    `blob` is None for an image; `first` and `last` are the part that comes, both included;
    `size_bytes` is how many bytes that is, None when the server does not know.
    """

    def __init__(self, facts: "Facts", answer: Answer) -> None:
        self.blob = facts.blob
        self.first = facts.first
        self.last = facts.last
        self.size_bytes = facts.size_bytes
        self._answer = answer

    @property
    def chunks(self) -> Iterator[bytes]:
        """The bytes, as they come; once."""
        return self._answer.chunks()

    def read(self) -> bytes:
        """Return all that is left."""
        return self._answer.read()

    def close(self) -> None:
        self._answer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


class Chunks:
    """The chunks of an answer in a loop; `aclose` lets go of it whether it was begun or not."""

    def __init__(self, answer: AsyncAnswer) -> None:
        self._answer = answer
        self._chunks = answer.chunks()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        await self._answer.aclose()


@dataclass(frozen=True)
class Facts:
    """What the head of an answer tells of the bytes after it."""

    blob: Blob | None
    first: int
    last: int
    size_bytes: int | None


def facts_of(received: Received, arguments: Mapping[str, Any]) -> Facts:
    """Return what an answer tells of a blob that was read, or of an image.

    Raises Conflict when the content is the very one that was not wanted.
    """
    if received.status == NOT_MODIFIED:
        raise Conflict("the content still has this etag")
    headers = received.headers
    told = headers.get("content-length")
    length = int(told) if told is not None else None
    first, last, whole = _span(headers.get("content-range"), length)
    if "bucket_id" not in arguments:
        return Facts(None, first, last, length)
    tag = headers.get("etag")
    blob = Blob(
        id=arguments["id"],
        bucket_id=arguments["bucket_id"],
        size_bytes=whole,
        content_type=headers.get("content-type"),
        modified_at=_time(headers.get("last-modified")),
        etag=None if tag is None else tag.removeprefix("W/").strip('"'),
        metadata={
            unquote(name.removeprefix(METADATA)): value
            for name, value in headers.items()
            if name.startswith(METADATA)
        },
    )
    return Facts(blob, first, last, length)


def _span(told: str | None, length: int | None) -> tuple[int, int, int]:
    """Return first and last byte, and the size of the whole (RFC 9110, section 14.4)."""
    if told is not None:
        span, _, whole = told.removeprefix("bytes ").partition("/")
        first, _, last = span.partition("-")
        if first.isdigit() and last.isdigit():
            return int(first), int(last), int(whole) if whole.isdigit() else int(last) + 1
    size = length or 0
    return 0, size - 1, size


def _time(told: str | None) -> datetime | None:
    if told is None:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(told)
    except ValueError:
        return None
