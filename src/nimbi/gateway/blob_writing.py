"""Writes of blobs on a condition: If-Match, If-None-Match and their kin of RFC 9110, section 13."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from nimbi.driver.blobs import Blobs
from nimbi.gateway.blob_reading import PreconditionFailed
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Blob, NewBlob
from nimbi.model.errors import Conflict, NotFound
from nimbi.wire import conditions

HEADERS = (b"if-match", b"if-none-match", b"if-unmodified-since")


async def on_condition(cloud: Cloud, headers: Mapping[bytes, bytes], new: NewBlob) -> NewBlob:
    """Return the wish with the condition that a request's headers tell.

    The cloud checks it once more when the content is there. Raises PreconditionFailed when it
    fails already.
    """
    if not any(name in headers for name in HEADERS):
        return new
    present = await _present(cloud, new)
    tag = conditions.entity_tag(present.etag) if present is not None else None
    at = present.modified_at if present is not None else None
    unwanted = headers.get(b"if-none-match")
    if conditions.is_other(headers, tag, at) or (
        unwanted is not None
        and present is not None
        and (tag is None or conditions.names_tag(unwanted, tag))
    ):
        raise PreconditionFailed
    if present is None:
        return msgspec.structs.replace(new, only_new=True)
    return msgspec.structs.replace(new, only_over=present.etag)


@contextmanager
def failing(new: NewBlob) -> Iterator[None]:
    """Tell that the condition of a write did not hold in the end, as PreconditionFailed."""
    try:
        yield
    except Conflict as error:
        if new.only_new or new.only_over is not None:
            raise PreconditionFailed from error
        raise


async def _present(cloud: Cloud, new: NewBlob) -> Blob | None:
    try:
        return await cloud.call(Blobs.get, new.bucket_id, new.id)
    except NotFound:
        return None
