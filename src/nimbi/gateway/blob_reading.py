"""Reads of blobs as HTTP asks for them: ranges and conditions (RFC 9110, sections 13 and 14)."""

from collections.abc import Mapping
from dataclasses import dataclass

from nimbi.driver.blobs import Blobs
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Blob, BlobContent, ByteRange
from nimbi.model.errors import Conflict, Invalid
from nimbi.wire import conditions
from nimbi.wire.content_headers import Headers, disposition
from nimbi.wire.ranges import Span, UnsatisfiableRange, resolve, unsatisfied_range

ASKING = (
    b"range",
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
)


class PreconditionFailed(Conflict):
    """The blob is not as the request expects it: status 412."""

    def __init__(self) -> None:
        super().__init__("the blob is not as the request expects it")


class RangeNotSatisfiable(Invalid):
    """The range is outside of the content: status 416 with `content_range`."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the range is outside of the {size_bytes} bytes")
        self.content_range = unsatisfied_range(size_bytes)


@dataclass(frozen=True)
class Opened:
    """What to answer: 200 and 206 with the content, 304 without; a HEAD is 200 without.

    Whoever gets it must read `content.chunks` to the end or close them. `headers` are those of the
    content, without its type.
    """

    status: int
    blob: Blob
    headers: Headers
    content: BlobContent | None = None


async def opened(
    cloud: Cloud, bucket_id: str, id: str, method: str, headers: Mapping[bytes, bytes]
) -> Opened:
    """Open a blob, or the part of it that a GET or HEAD asks for, when its conditions hold.

    Raises PreconditionFailed, RangeNotSatisfiable, and what the cloud raises.
    """
    asked = any(name in headers for name in ASKING)
    if method != "HEAD" and not (asked and cloud.supports(Blobs.get)):
        return _content(await cloud.call(Blobs.read, bucket_id, id, None), None)
    while True:
        blob = await cloud.call(Blobs.get, bucket_id, id)
        if answer := _without_content(blob, method, headers):
            return answer
        span = _span(blob, headers)
        wanted = ByteRange(span.first, span.last) if span is not None else None
        content = await cloud.call(Blobs.read, bucket_id, id, wanted)
        if content.blob.etag == blob.etag:
            return _content(content, span)
        # Another content came between: what was found out does not hold for that.
        await _given_up(content)


def facts(blob: Blob) -> Headers:
    """Return the headers that tell of a blob: its tag, time and name."""
    told = [
        (b"content-disposition", disposition(blob.id)),
        (b"accept-ranges", b"bytes"),
    ]
    tag = conditions.entity_tag(blob.etag)
    if tag is not None:
        told.append((b"etag", tag.encode("ascii")))
    if blob.modified_at is not None:
        date = conditions.http_date(blob.modified_at)
        told.append((b"last-modified", date.encode("ascii")))
    return tuple(told)


def _without_content(blob: Blob, method: str, headers: Mapping[bytes, bytes]) -> Opened | None:
    """Return the answer when no content is sent. Raises PreconditionFailed."""
    tag = conditions.entity_tag(blob.etag)
    if conditions.is_other(headers, tag, blob.modified_at):
        raise PreconditionFailed
    if conditions.is_unchanged(headers, tag, blob.modified_at):
        return Opened(304, blob, facts(blob))
    if method == "HEAD":
        return Opened(200, blob, (*facts(blob), _length(blob.size_bytes)))
    return None


def _span(blob: Blob, headers: Mapping[bytes, bytes]) -> Span | None:
    told = headers.get(b"range")
    tag = conditions.entity_tag(blob.etag)
    if told is None or not conditions.range_holds(headers, tag, blob.modified_at):
        return None
    try:
        return resolve(told.decode("latin-1"), blob.size_bytes)
    except UnsatisfiableRange as error:
        raise RangeNotSatisfiable(blob.size_bytes) from error


async def _given_up(content: BlobContent) -> None:
    """Close a content that nobody will read."""
    close = getattr(content.chunks, "aclose", None)
    if close is not None:
        await close()


def _content(content: BlobContent, span: Span | None) -> Opened:
    headers: Headers = (*facts(content.blob), _length(content.size_bytes))
    if span is not None:
        told = Span(content.first, content.last).content_range(content.blob.size_bytes)
        headers = (*headers, (b"content-range", told.encode("ascii")))
    return Opened(200 if span is None else 206, content.blob, headers, content)


def _length(size_bytes: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size_bytes
