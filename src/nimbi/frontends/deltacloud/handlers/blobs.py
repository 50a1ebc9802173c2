"""Blobs: facts, metadata, and content that goes through without being held."""

from nimbi.driver.blobs import Blobs
from nimbi.frontends.deltacloud import blob_headers
from nimbi.frontends.deltacloud.answers import gone as nothing_left
from nimbi.frontends.deltacloud.answers import (
    html_reply,
    json_reply,
    outdented,
    redirect,
    view_of,
    xml_reply,
)
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import HTML, JSON
from nimbi.frontends.deltacloud.handlers.collections import timed
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.render_json.storage import blob as json_blob
from nimbi.frontends.deltacloud.render_xml.storage import blob as xml_blob
from nimbi.frontends.deltacloud.reply import Headers, Problem, Reply, header
from nimbi.frontends.deltacloud.view import segment
from nimbi.model.buckets import Blob, BlobContent, ByteRange
from nimbi.wire.ranges import Span, UnsatisfiableRange, resolve, unsatisfied_range
from nimbi.wire.xml import DECLARATION

# A link is followed at once; the time is for clocks that differ, and for a slow start.
LINK_S = 900

CONDITIONS = (
    b"range",
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
)


def named(exchange: Exchange) -> tuple[str, str]:
    """Return bucket and blob of the path."""
    return exchange.arguments["bucket"], exchange.arguments["blob"]


def answer(exchange: Exchange, item: Blob, status: int = 200) -> Reply:
    """Answer with a blob's facts."""
    view = view_of(exchange)
    if exchange.format is JSON:
        return json_reply({"blob": json_blob(item, view)}, status)
    if exchange.format is HTML:
        member = json_blob(item, view)
        return html_reply(pages.member_page(page_view(exchange), "blobs", member), status)
    return xml_reply(DECLARATION + outdented(xml_blob(item, view)), status)


async def show_blob(exchange: Exchange) -> Reply:
    return answer(exchange, await timed(exchange, exchange.cloud.call(Blobs.get, *named(exchange))))


async def show_metadata(exchange: Exchange) -> Reply:
    blob = await exchange.cloud.call(Blobs.get, *named(exchange))
    return Reply(204, headers=blob_headers.metadata_headers(blob.metadata))


async def set_metadata(exchange: Exchange) -> Reply:
    """Replace all metadata by that of the headers, or of the form on a blob's page."""
    metadata = blob_headers.metadata_of(exchange.headers)
    metadata |= blob_headers.metadata_of_form(exchange.parameters)
    bucket_id, id = named(exchange)
    blob = await exchange.cloud.call(Blobs.set_metadata, bucket_id, id, metadata)
    if exchange.format is HTML and "meta_params" in exchange.parameters:
        return redirect(exchange, f"/buckets/{segment(bucket_id)}/{segment(id)}")
    return Reply(204, headers=blob_headers.metadata_headers(blob.metadata))


async def destroy_blob(exchange: Exchange) -> Reply:
    bucket_id, id = named(exchange)
    await exchange.cloud.call(Blobs.destroy, bucket_id, id)
    return nothing_left(exchange, f"/buckets/{segment(bucket_id)}")


async def content(exchange: Exchange) -> Reply:
    """Answer with the content, or the asked part of it; conditions are those of RFC 9110.

    A client that asks for a redirect is led to the cloud itself, where that gives links.
    """
    led = exchange.parameters.flag("redirect") and exchange.method == "GET"
    if led and exchange.cloud.supports(Blobs.link):
        return await _led(exchange)
    asked = any(name in exchange.headers for name in CONDITIONS)
    if exchange.method != "HEAD" and not (asked and exchange.cloud.supports(Blobs.get)):
        return _content(await _opened(exchange, None), None)
    while True:
        blob = await exchange.cloud.call(Blobs.get, *named(exchange))
        if reply := _without_content(exchange, blob):
            return reply
        span = _span(exchange, blob)
        opened = await _opened(exchange, span)
        if opened.blob.etag == blob.etag:
            return _content(opened, span)
        # Another content came between: what was found out does not hold for that.
        await _given_up(opened)


async def _led(exchange: Exchange) -> Reply:
    url = await exchange.cloud.call(Blobs.link, *named(exchange), LINK_S)
    # Whoever has the link may read the blob, so that no cache may keep it.
    headers = (header("location", url), (b"cache-control", b"no-store"))
    return Reply(302, headers=headers, signed=False)


def _without_content(exchange: Exchange, blob: Blob) -> Reply | None:
    """Return the answer when no content is sent. Raises Problem for a condition that fails."""
    tag = blob_headers.entity_tag(blob)
    if blob_headers.is_other(exchange.headers, tag, blob.modified_at):
        raise precondition_failed()
    if blob_headers.is_unchanged(exchange.headers, tag, blob.modified_at):
        return Reply(304, headers=_facts(blob), signed=False)
    if exchange.method == "HEAD":
        length = (b"content-length", b"%d" % blob.size_bytes)
        media_type = blob_headers.content_type(blob.content_type)
        return Reply(200, b"", media_type, (*_facts(blob), length), signed=False)
    return None


def precondition_failed() -> Problem:
    message = "the blob is not as the request expects it"
    return Problem(412, "PreconditionFailed", message)


def _span(exchange: Exchange, blob: Blob) -> Span | None:
    tag = blob_headers.entity_tag(blob)
    told = exchange.text_header(b"range")
    if not blob_headers.range_holds(exchange.headers, tag, blob.modified_at):
        told = None
    try:
        return resolve(told, blob.size_bytes) if told is not None else None
    except UnsatisfiableRange as error:
        value = unsatisfied_range(blob.size_bytes)
        message = f"the range is outside of the {blob.size_bytes} bytes"
        raise Problem(
            416, "RangeNotSatisfiable", message, (header("content-range", value),)
        ) from error


async def _opened(exchange: Exchange, span: Span | None) -> BlobContent:
    wanted = ByteRange(span.first, span.last) if span is not None else None
    return await exchange.cloud.call(Blobs.read, *named(exchange), wanted)


async def _given_up(opened: BlobContent) -> None:
    """Close a content that nobody will read."""
    close = getattr(opened.chunks, "aclose", None)
    if close is not None:
        await close()


def _content(opened: BlobContent, span: Span | None) -> Reply:
    headers: Headers = (*_facts(opened.blob), (b"content-length", b"%d" % opened.size_bytes))
    if span is not None:
        told = Span(opened.first, opened.last).content_range(opened.blob.size_bytes)
        headers = (*headers, header("content-range", told))
    media_type = blob_headers.content_type(opened.blob.content_type)
    status = 200 if span is None else 206
    return Reply(
        status,
        b"",
        media_type,
        headers,
        chunks=opened.chunks,
        file=opened.file,
        socket=opened.socket,
        signed=False,
    )


def _facts(blob: Blob) -> Headers:
    facts = [
        (b"content-disposition", blob_headers.disposition(blob.id)),
        (b"accept-ranges", b"bytes"),
        # What users store must not be taken for a page or a script of this server.
        (b"x-content-type-options", b"nosniff"),
    ]
    tag = blob_headers.entity_tag(blob)
    if tag is not None:
        facts.append(header("etag", tag))
    if blob.modified_at is not None:
        facts.append(header("last-modified", blob_headers.http_date(blob.modified_at)))
    return tuple(facts)
