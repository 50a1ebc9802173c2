"""Answers on their way to the client."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nimbi.frontends.native.answer import JSON, Answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.wire.conditions import names_tag
from nimbi.wire.streaming import send_stream

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# What one caller may see is not for shared caches, and is asked for anew each time.
PRIVATE = (b"cache-control", b"private, no-cache")
NEVER = (b"cache-control", b"no-store")
CONTENT_JSON = (b"content-type", b"application/json")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
# A tag is of what this very login sees.
VARY = (b"vary", b"authorization")

# These say nothing of a body: 204 and 304 have none (RFC 9110, section 8.6).
WITHOUT_LENGTH = frozenset({204, 304})


async def send_answer(answer: Answer, exchange: Exchange, send: Send) -> None:
    """Send an answer whole, or as its content comes. Raises Gone when the client goes then."""
    if answer.chunks is not None:
        await _send_content(answer, exchange, send)
        return
    status, body = answer.status, answer.body
    headers = list(answer.headers)
    if answer.media_type is not None:
        headers.append(
            CONTENT_JSON
            if answer.media_type == JSON
            else (b"content-type", answer.media_type.encode("latin-1"))
        )
        headers.append(NO_SNIFFING)
    if answer.tag is not None:
        status, body = _tagged(answer, answer.tag, exchange, headers)
    elif status < 300 and not any(name == b"cache-control" for name, _ in headers):
        headers.append(NEVER)
    # A handler that tells the length itself answers HEAD for content that it did not open.
    if body or (status not in WITHOUT_LENGTH and not _has_length(headers)):
        headers.append((b"content-length", b"%d" % len(body)))
    exchange.started = True
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if exchange.method == "HEAD" else body})


def _has_length(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-length" for name, _ in headers)


def _tagged(
    answer: Answer, tag: str, exchange: Exchange, headers: list[tuple[bytes, bytes]]
) -> tuple[int, bytes]:
    """Add the tag; the answer is 304 when the client has that body already."""
    headers += ((b"etag", tag.encode("ascii")), PRIVATE, VARY)
    known = exchange.headers.get(b"if-none-match")
    reads = answer.status == 200 and exchange.method in {"GET", "HEAD"}
    if known is not None and reads and names_tag(known, tag):
        return 304, b""
    return answer.status, answer.body


async def _send_content(answer: Answer, exchange: Exchange, send: Send) -> None:
    headers = [*answer.headers, NO_SNIFFING]
    if answer.media_type is not None:
        headers.append((b"content-type", answer.media_type.encode("latin-1")))
    exchange.started = True
    assert answer.chunks is not None  # noqa: S101  the caller has looked
    if exchange.method == "HEAD":
        # It was opened to know what GET would say; nobody reads it.
        close = getattr(answer.chunks, "aclose", None)
        if close is not None:
            await close()
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    await send_stream(
        answer.status,
        headers,
        answer.chunks,
        exchange.receive,
        send,
        file=answer.file,
        socket=answer.socket,
        extensions=exchange.extensions,
    )
