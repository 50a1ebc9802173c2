"""Answers on their way to the client."""

from starlette.types import Send

from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.html.security import CONTENT_SECURITY_POLICY
from nimbi.frontends.deltacloud.reply import Headers, Reply
from nimbi.frontends.deltacloud.selection import signature
from nimbi.wire.conditions import names_tag
from nimbi.wire.streaming import send_stream
from nimbi.wire.written import tag_of

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

# These say nothing of a body: 204 and 304 have none (RFC 9110, section 8.6).
WITHOUT_LENGTH = frozenset({204, 304})


async def send_reply(reply: Reply, exchange: Exchange, send: Send) -> None:
    """Send an answer whole, or as its content comes. Raises Gone when the client goes then."""
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
        exchange.started = True
        await send_stream(
            status,
            headers,
            reply.chunks,
            exchange.receive,
            send,
            file=reply.file,
            socket=reply.socket,
            extensions=exchange.extensions,
        )
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
