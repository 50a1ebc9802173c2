"""The body of a request to an ASGI app: as it comes or whole, within limits."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Gone(Exception):
    """The client went away; nobody reads an answer."""


class MalformedBody(ValueError):
    """The body is not what its headers tell: status 400."""


class BodyTooLarge(ValueError):
    """The body has more bytes than are taken: status 413."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")


def media_type(headers: Mapping[bytes, bytes]) -> str:
    """Return the body's media type in lower case, without parameters; empty when none is told."""
    value = headers.get(b"content-type", b"")
    return value.partition(b";")[0].strip().lower().decode("latin-1")


def told_size(headers: Mapping[bytes, bytes]) -> int | None:
    """Return the Content-Length, None without one. Raises MalformedBody when it is no number."""
    value = headers.get(b"content-length")
    if value is None:
        return None
    if not (value.isdigit() and len(value) <= 18):
        raise MalformedBody("Content-Length is not a number")
    return int(value)


def stream_size(headers: Mapping[bytes, bytes]) -> int | None:
    """Return the size of a body that is content; None when it comes in pieces nobody counted."""
    size = told_size(headers)
    return 0 if size is None and b"transfer-encoding" not in headers else size


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a body is told of. Raises MalformedBody."""
    return bool(told_size(headers)) or b"transfer-encoding" in headers


async def chunks(receive: Receive, size: int | None, limit: int | None) -> AsyncIterator[bytes]:
    """Yield the body as it comes.

    Raises BodyTooLarge, MalformedBody when it is not of the told size, Gone when the client goes.
    """
    if limit is not None and size is not None and size > limit:
        raise BodyTooLarge(limit)
    seen = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body = message.get("body", b"")
        more = message.get("more_body", False)
        seen += len(body)
        if limit is not None and seen > limit:
            raise BodyTooLarge(limit)
        if size is not None and (seen > size or (not more and seen < size)):
            raise MalformedBody(f"the body is not the {size} bytes that Content-Length tells")
        if body:
            yield body


async def whole(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Return the whole body. Raises as `chunks`."""
    return b"".join([chunk async for chunk in chunks(receive, told_size(headers), limit)])
