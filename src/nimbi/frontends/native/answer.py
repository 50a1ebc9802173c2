"""What a handler gives back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

from nimbi.model.buckets import FilePart, SocketPart

Headers = tuple[tuple[bytes, bytes], ...]

JSON = "application/json"

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and a body that is whole (`body`) or comes as it is made (`chunks`).

    `tag` is the ETag with its quotes; a GET whose If-None-Match names it is answered 304 by the
    app. `chunks` are closed by the app, whatever happens. `file` and `socket` tell where the same
    bytes are for a server that can pass them on by itself. Without a media type there is no body.
    A stream's Content-Length, when it is known, is among the `headers`.
    """

    status: int = 200
    body: bytes = b""
    media_type: str | None = JSON
    headers: Headers = ()
    tag: str | None = None
    chunks: AsyncIterator[bytes] | None = None
    file: FilePart | None = None
    socket: SocketPart | None = None


def json_answer(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    """Return the answer whose body is a value's JSON."""
    return Answer(status, encode(value), JSON, headers)


def created(value: Any, place: str) -> Answer:
    """Return the answer that tells a new thing, and where it is."""
    return json_answer(value, 201, (header("location", place),))


def nothing(headers: Headers = ()) -> Answer:
    """Return the answer to what was done and has nothing to tell."""
    return Answer(204, b"", None, headers)


def header(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header of text without line breaks; what is no Latin-1 is UTF-8."""
    return name.encode("ascii"), value.encode("utf-8")
