"""Writes of blobs on a condition: If-Match, If-None-Match and their kin of RFC 9110, section 13."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from nimbi.driver.blobs import Blobs
from nimbi.frontends.deltacloud import blob_headers
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.handlers.blobs import precondition_failed
from nimbi.model.buckets import Blob, NewBlob
from nimbi.model.errors import Conflict, NotFound

HEADERS = (b"if-match", b"if-none-match", b"if-unmodified-since")


async def on_condition(exchange: Exchange, new: NewBlob) -> NewBlob:
    """Return the wish with the condition that the request's headers tell.

    The cloud checks it once more when the content is there. Raises Problem when it fails already.
    """
    headers = exchange.headers
    if not any(name in headers for name in HEADERS):
        return new
    present = await _present(exchange, new)
    tag = blob_headers.entity_tag(present) if present is not None else None
    at = present.modified_at if present is not None else None
    unwanted = headers.get(b"if-none-match")
    if blob_headers.is_other(headers, tag, at) or (
        unwanted is not None
        and present is not None
        and (tag is None or blob_headers.names_tag(unwanted, tag))
    ):
        raise precondition_failed()
    if present is None:
        return msgspec.structs.replace(new, only_new=True)
    return msgspec.structs.replace(new, only_over=present.etag)


@contextmanager
def failing(new: NewBlob) -> Iterator[None]:
    """Tell that the condition of a write did not hold in the end."""
    try:
        yield
    except Conflict as error:
        if new.only_new or new.only_over is not None:
            raise precondition_failed() from error
        raise


async def _present(exchange: Exchange, new: NewBlob) -> Blob | None:
    try:
        return await exchange.cloud.call(Blobs.get, new.bucket_id, new.id)
    except NotFound:
        return None
