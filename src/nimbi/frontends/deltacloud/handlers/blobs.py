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
from nimbi.frontends.deltacloud.reply import Reply, header
from nimbi.frontends.deltacloud.view import segment
from nimbi.gateway import blob_reading
from nimbi.model.buckets import Blob
from nimbi.wire.content_headers import content_type
from nimbi.wire.xml import DECLARATION

# A link is followed at once; the time is for clocks that differ, and for a slow start.
LINK_S = 900


# What users store must not be taken for a page or a script of this server.
NO_SNIFFING = (b"x-content-type-options", b"nosniff")


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
    found = await blob_reading.opened(
        exchange.cloud, *named(exchange), exchange.method, exchange.headers
    )
    media_type = None if found.status == 304 else content_type(found.blob.content_type)
    reply = Reply(found.status, b"", media_type, (*found.headers, NO_SNIFFING), signed=False)
    if found.content is not None:
        reply.chunks = found.content.chunks
        reply.file, reply.socket = found.content.file, found.content.socket
    return reply


async def _led(exchange: Exchange) -> Reply:
    url = await exchange.cloud.call(Blobs.link, *named(exchange), LINK_S)
    # Whoever has the link may read the blob, so that no cache may keep it.
    headers = (header("location", url), (b"cache-control", b"no-store"))
    return Reply(302, headers=headers, signed=False)
