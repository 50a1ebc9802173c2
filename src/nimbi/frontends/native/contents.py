"""What moves bytes: the content of blobs, of parts of uploads, and of images."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nimbi.api.routes import ROUTES
from nimbi.driver.blobs import Blobs
from nimbi.driver.compute import Images
from nimbi.frontends.native.answer import Answer, Headers, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.intake import converted
from nimbi.frontends.native.problems import Problem, bad_request
from nimbi.frontends.native.route import Handler
from nimbi.frontends.native.things import thing_answer
from nimbi.gateway.blob_reading import PreconditionFailed, RangeNotSatisfiable, opened
from nimbi.gateway.blob_writing import failing, on_condition
from nimbi.model.buckets import NewBlob, Upload
from nimbi.model.errors import Invalid
from nimbi.model.images import NewUpload
from nimbi.wire.content_headers import OCTETS, content_type, metadata_headers, metadata_of
from nimbi.wire.request_body import BodyTooLarge, MalformedBody, chunks, stream_size

# Before a name of a blob's metadata, both ways.
METADATA_PREFIX = b"x-nimbi-meta-"

_MOST_ORDER_DIGITS = 5


async def read_blob(exchange: Exchange) -> Answer:
    """Answer with the content, or the asked part of it; conditions are those of RFC 9110."""
    with _words_of_http():
        found = await opened(exchange.cloud, *_named(exchange), exchange.method, exchange.headers)
    headers = (*found.headers, *metadata_headers(found.blob.metadata, METADATA_PREFIX))
    if found.status == 304:
        return Answer(304, b"", None, headers)
    media_type = content_type(found.blob.content_type)
    if found.content is None:
        return Answer(found.status, b"", media_type, headers)
    return Answer(
        found.status,
        b"",
        media_type,
        headers,
        chunks=found.content.chunks,
        file=found.content.file,
        socket=found.content.socket,
    )


async def write_blob(exchange: Exchange) -> Answer:
    """Store a blob under its name, when the conditions of RFC 9110 hold before and after."""
    bucket_id, id = _named(exchange)
    with _words_of_http():
        new = NewBlob(
            bucket_id=bucket_id,
            id=id,
            size_bytes=stream_size(exchange.headers),
            content_type=_media_type(exchange.text_header(b"content-type")),
            metadata=_metadata(exchange.headers),
        )
        new = await on_condition(exchange.cloud, exchange.headers, new)
        with failing(new):
            body = chunks(exchange.receive, new.size_bytes, None)
            blob = await exchange.cloud.call(Blobs.write, new, body)
    return thing_answer(exchange, blob, 201)


async def write_segment(exchange: Exchange) -> Answer:
    """Store one part of an upload; the same order again replaces it."""
    bucket_id, id = _named(exchange)
    arguments = exchange.arguments
    upload = Upload(id=arguments["upload_id"], bucket_id=bucket_id, blob_id=id)
    order = arguments["order"]
    if not (order.isascii() and order.isdigit() and len(order) <= _MOST_ORDER_DIGITS):
        raise Invalid("the order of a segment is a number from 1 to 10000")
    with _words_of_http():
        size = stream_size(exchange.headers)
        body = chunks(exchange.receive, size, None)
        return json_answer(
            await exchange.cloud.call(Blobs.write_segment, upload, int(order), body, size)
        )


async def read_image(exchange: Exchange) -> Answer:
    """Answer with the bytes of an image."""
    content = await exchange.cloud.call(Images.read, exchange.arguments["id"])
    headers: Headers = ()
    if content.size_bytes is not None:
        headers = ((b"content-length", b"%d" % content.size_bytes),)
    return Answer(200, b"", OCTETS, headers, chunks=content.chunks)


async def upload_image(exchange: Exchange) -> Answer:
    """Make an image of the body; what is told of it stands in the query."""
    with _words_of_http():
        told: dict[str, Any] = {"size_bytes": stream_size(exchange.headers)}
        properties: dict[str, str] = {}
        for name, value in exchange.query.items():
            family, _, rest = name.partition(".")
            if family == "properties" and rest:
                properties[rest] = value
            else:
                told[name] = value
        told |= {"properties": properties, "token": exchange.token}
        new: NewUpload = converted(told, NewUpload, lax=True)
        body = chunks(exchange.receive, new.size_bytes, None)
        image = await exchange.cloud.call(Images.upload, new, body)
    return thing_answer(exchange, image, 201)


STREAMS: Mapping[str, Handler] = {
    ROUTES["blobs.read"].id: read_blob,
    ROUTES["blobs.write"].id: write_blob,
    ROUTES["blobs.write_segment"].id: write_segment,
    ROUTES["images.read"].id: read_image,
    ROUTES["images.upload"].id: upload_image,
}


def _named(exchange: Exchange) -> tuple[str, str]:
    """Return bucket and blob of the path."""
    return exchange.arguments["bucket_id"], exchange.arguments["id"]


def _media_type(told: str | None) -> str | None:
    if told and content_type(told) != told:
        raise bad_request("Content-Type holds what no media type can hold")
    return told or None


def _metadata(headers: Mapping[bytes, bytes]) -> Mapping[str, str]:
    try:
        return metadata_of(headers, METADATA_PREFIX)
    except ValueError as error:
        raise bad_request(str(error)) from error


@contextmanager
def _words_of_http() -> Iterator[None]:
    """Tell what is wrong with a body, a range or a condition by the codes of this API."""
    try:
        yield
    except PreconditionFailed as error:
        raise Problem("precondition_failed", error.message) from error
    except RangeNotSatisfiable as error:
        told = ((b"content-range", error.content_range.encode("ascii")),)
        raise Problem("range_not_satisfiable", error.message, told) from error
    except BodyTooLarge as error:
        raise Problem("too_large", str(error)) from error
    except MalformedBody as error:
        raise bad_request(str(error)) from error
