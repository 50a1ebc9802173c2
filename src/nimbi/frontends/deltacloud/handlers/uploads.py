"""Blobs on their way in: streamed, in segments, or by a form."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote

from starlette.datastructures import UploadFile

from nimbi.driver.blobs import Blobs
from nimbi.driver.capabilities import OPERATIONS
from nimbi.frontends.deltacloud import blob_headers
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.handlers.blobs import answer, named
from nimbi.frontends.deltacloud.reply import Reply, lacks_capability
from nimbi.gateway.blob_writing import failing, on_condition
from nimbi.model.buckets import NewBlob, Segment, Upload
from nimbi.model.errors import Invalid
from nimbi.wire import request_body
from nimbi.wire.content_headers import content_type, header_text

SEGMENTED = "segmented"
CHUNK_BYTES = 256 * 1024

# 10000 segments with ids of 100 characters.
MAX_LIST_BYTES = 2 << 20

# Characters of a segment's id that could not be told from the list's own.
SEGMENT_ID_SAFE = "!#$&'()*+-./:;<>?@[]^_`{|}~\"\\"

_ORDER = re.compile(r"[0-9]{1,5}", re.ASCII)


async def put_blob(exchange: Exchange) -> Reply:
    """Store a blob, or one step of a segmented upload, by what headers or query tell."""
    kind = _told(exchange, "blob_type", b"x-deltacloud-blobtype")
    if kind is None:
        return await _write(exchange)
    if kind.lower() != SEGMENTED:
        raise Invalid("the type of a blob is 'segmented', or is not told")
    if OPERATIONS[Blobs.begin_upload].id not in exchange.operations:
        raise lacks_capability("segmented_blob")
    upload_id = _told(exchange, "segmented_blob", b"x-deltacloud-segmentedblob")
    order = _told(exchange, "segment_order", b"x-deltacloud-segmentorder")
    if upload_id is None:
        return await _begin(exchange)
    bucket_id, id = named(exchange)
    upload = Upload(id=upload_id, bucket_id=bucket_id, blob_id=id)
    if order is None:
        return await _finish(exchange, upload)
    return await _write_segment(exchange, upload, order)


async def post_blob(exchange: Exchange) -> Reply:
    """Store a blob from a form: a file, or a text in a field."""
    parameters = exchange.parameters
    metadata = blob_headers.metadata_of(exchange.headers)
    metadata |= blob_headers.metadata_of_form(parameters)
    bucket_id, id = exchange.arguments["bucket"], parameters.needed("blob_id")
    if id in {".", ".."}:
        raise Invalid(f"no path can name a blob that is called {id!r}")
    file = parameters.files.get("blob_data")
    if file is not None:
        new = NewBlob(
            bucket_id=bucket_id,
            id=id,
            size_bytes=file.size,
            content_type=_media_type(file.content_type),
            metadata=metadata,
        )
        return answer(exchange, await exchange.cloud.call(Blobs.write, new, _chunks(file)), 201)
    data = parameters.texts.get("blob_data", "").encode()
    new = NewBlob(
        bucket_id=bucket_id,
        id=id,
        size_bytes=len(data),
        content_type="text/plain",
        metadata=metadata,
    )
    return answer(exchange, await exchange.cloud.call(Blobs.write, new, _once(data)), 201)


async def _write(exchange: Exchange) -> Reply:
    new = await on_condition(exchange.cloud, exchange.headers, _new_blob(exchange))
    body = request_body.chunks(exchange.receive, new.size_bytes, None)
    with failing(new):
        return answer(exchange, await exchange.cloud.call(Blobs.write, new, body))


async def _begin(exchange: Exchange) -> Reply:
    new = await on_condition(exchange.cloud, exchange.headers, _new_blob(exchange))
    with failing(new):
        upload = await exchange.cloud.call(Blobs.begin_upload, new)
    id = header_text(upload.id)
    return Reply(204, headers=((b"x-deltacloud-segmentedblob", id),))


async def _write_segment(exchange: Exchange, upload: Upload, order: str) -> Reply:
    if not _ORDER.fullmatch(order) or int(order) < 1:
        raise Invalid("the order of a segment is a number from 1")
    size = request_body.stream_size(exchange.headers)
    body = request_body.chunks(exchange.receive, size, None)
    stored = await exchange.cloud.call(Blobs.write_segment, upload, int(order), body, size)
    id = quote(stored.id, safe=SEGMENT_ID_SAFE).encode()
    return Reply(204, headers=((b"x-deltacloud-blobsegmentid", id),))


async def _finish(exchange: Exchange, upload: Upload) -> Reply:
    text = await request_body.whole(exchange.receive, exchange.headers, MAX_LIST_BYTES)
    segments = segments_of(text)
    return answer(exchange, await exchange.cloud.call(Blobs.finish_upload, upload, segments))


def segments_of(body: bytes) -> tuple[Segment, ...]:
    """Return the segments that a list names: `1=sid1 , 2=sid2`. Raises Invalid."""
    try:
        parts = [part.strip() for part in body.decode("utf-8").split(",")]
    except UnicodeDecodeError as error:
        raise Invalid("the list of segments is not UTF-8") from error
    segments = []
    for part in filter(None, parts):
        order, _, id = part.partition("=")
        if not _ORDER.fullmatch(order.strip()) or not id.strip():
            raise Invalid("the list of segments is not of the form '1=ID1, 2=ID2'")
        segments.append(Segment(order=int(order), id=unquote(id.strip())))
    if not segments or len({s.order for s in segments}) != len(segments):
        raise Invalid("the list of segments is empty, or names one twice")
    return tuple(sorted(segments, key=lambda s: s.order))


def _new_blob(exchange: Exchange) -> NewBlob:
    bucket_id, id = named(exchange)
    return NewBlob(
        bucket_id=bucket_id,
        id=id,
        size_bytes=request_body.stream_size(exchange.headers),
        content_type=_media_type(exchange.text_header(b"content-type")),
        metadata=blob_headers.metadata_of(exchange.headers),
    )


def _media_type(told: str | None) -> str | None:
    if told and content_type(told) != told:
        raise Invalid("Content-Type holds what no media type can hold")
    return told or None


def _told(exchange: Exchange, parameter: str, name: bytes) -> str | None:
    return exchange.parameters.line(parameter) or exchange.text_header(name) or None


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data
