"""Answers on their way to the client."""

import asyncio
import logging
from contextlib import aclosing
from typing import Any

from starlette.types import Message, Receive, Send

from nimbi.frontends.deltacloud.blob_headers import names_tag
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.html.security import CONTENT_SECURITY_POLICY
from nimbi.frontends.deltacloud.reply import Gone, Headers, Reply
from nimbi.frontends.deltacloud.selection import signature
from nimbi.frontends.deltacloud.written import tag_of
from nimbi.model.buckets import FilePart, SocketPart

log = logging.getLogger(__name__)

RawHeaders = list[tuple[bytes, bytes]]

CACHE_CONTROL = (b"cache-control", b"max-age=0, private, must-revalidate")

CONTENT_TYPES = {
    media_type: (b"content-type", media_type.encode("ascii"))
    for media_type in ("application/xml", "application/json", "text/html")
}

# What keeps a page from being used against the person who looks at it.
PAGE_HEADERS: Headers = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)

# https://asgi.readthedocs.io/en/latest/extensions.html, "Zero Copy Send"
ZEROCOPY = "http.response.zerocopysend"
# Our own server's: what one socket brings is passed on.
RELAY = "nimbi.response.relay"

# These say nothing of a body: 204 and 304 have none (RFC 9110, section 8.6).
WITHOUT_LENGTH = frozenset({204, 304})


async def send_reply(reply: Reply, exchange: Exchange, send: Send) -> None:
    """Send an answer whole, or as its content comes."""
    status, headers = reply.status, list(reply.headers)
    if reply.content_type is not None:
        headers.append(_content_type(reply.content_type))
        if reply.content_type == "text/html":
            headers += PAGE_HEADERS
    if reply.signed:
        headers += signature(exchange.selection.driver, exchange.selection.provider)
        if exchange.runtime_s is not None:
            headers.append((b"x-backend-runtime", b"%.4f" % exchange.runtime_s))
    if reply.chunks is not None:
        await _send_stream(reply, headers, exchange, send)
        return
    body = reply.body
    if body and reply.signed and status in {200, 201}:
        status, body = _tagged(exchange, status, body, reply.tag or tag_of(body), headers)
    # The answer to HEAD tells the length that the one to GET has.
    if status not in WITHOUT_LENGTH and not (exchange.method == "HEAD" and not reply.signed):
        headers.append((b"content-length", b"%d" % len(body)))
    exchange.started = True
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if exchange.method == "HEAD" else body})


def _tagged(
    exchange: Exchange, status: int, body: bytes, tag: str, headers: RawHeaders
) -> tuple[int, bytes]:
    """Add the tag of the body; the answer is 304 when the client has that body already."""
    headers.append((b"etag", tag.encode("ascii")))
    headers.append(CACHE_CONTROL)
    known = exchange.headers.get(b"if-none-match")
    if known is None or status != 200 or exchange.method not in {"GET", "HEAD"}:
        return status, body
    return (304, b"") if names_tag(known, tag) else (status, body)


def _content_type(media_type: str) -> tuple[bytes, bytes]:
    return CONTENT_TYPES.get(media_type) or (b"content-type", media_type.encode("latin-1"))


async def _send_stream(reply: Reply, headers: RawHeaders, exchange: Exchange, send: Send) -> None:
    """Send chunk after chunk; the next one is asked for when the last one has left.

    Raises Gone when the client goes: the server takes what is sent then, and nobody reads it.
    """
    chunks: Any = reply.chunks
    watch = asyncio.ensure_future(_client_leaves(exchange.receive))
    try:
        async with aclosing(chunks):
            exchange.started = True
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            if reply.file is not None and ZEROCOPY in exchange.extensions:
                await _sent(_of_file(reply.file), watch, send)
                return
            if reply.socket is not None and RELAY in exchange.extensions:
                await _sent(_of_socket(reply.socket), watch, send)
                return
            async for chunk in chunks:
                if watch.done():
                    raise Gone
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
    finally:
        watch.cancel()


def _of_file(file: FilePart) -> Message:
    return {
        "type": ZEROCOPY,
        "file": file.descriptor,
        "offset": file.first,
        "count": file.size_bytes,
    }


def _of_socket(socket: SocketPart) -> Message:
    return {
        "type": RELAY,
        "socket": socket.descriptor,
        "head": socket.head,
        "count": socket.size_bytes,
        "idle_s": socket.idle_s,
    }


async def _sent(message: Message, watch: "asyncio.Future[None]", send: Send) -> None:
    """Let the server send what is not in this process. Raises Gone when the client goes."""
    sending = asyncio.ensure_future(send(message))
    try:
        await asyncio.wait({sending, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            raise Gone
        await sending
    finally:
        sending.cancel()


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
