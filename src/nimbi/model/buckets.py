"""Buckets and the blobs in them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class Bucket(Resource, frozen=True, kw_only=True):
    """A bucket. `blob_count` is None when the cloud would have to count."""

    name: str
    blob_count: int | None = None
    location: str | None = None
    created_at: datetime | None = None


class NewBucket(NewResource, frozen=True, kw_only=True):
    """Names are the user's; a name in use is a Conflict."""

    name: str
    location: Annotated[
        str | None, Feature("bucket_location", "Where the bucket is to be kept.")
    ] = None


class Blob(Resource, frozen=True, kw_only=True):
    """A blob's facts without its content. `id` is its name within the bucket.

    `etag` changes with the content; None when the cloud has none. Metadata names are kept as given
    and compared without regard to case.
    """

    bucket_id: str
    size_bytes: int
    content_type: str | None
    modified_at: datetime | None
    etag: str | None
    metadata: Mapping[str, str] = {}


class NewBlob(NewResource, frozen=True, kw_only=True):
    """What is told of a blob ahead of its content. `size_bytes` is None when it is not known.

    When a size is told, content that is longer or shorter is Invalid and leaves no trace.
    """

    bucket_id: str
    id: str
    size_bytes: int | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = {}


class ByteRange(msgspec.Struct, frozen=True):
    """From `first` to `last`, both included, counted from 0; no `last` is to the end.

    A negative `first` asks for that many bytes at the end. RFC 9110, section 14.1.2.
    """

    first: int
    last: int | None = None


@dataclass(frozen=True)
class BlobContent:
    """An open blob: its facts, the part that comes (both ends included), and the bytes.

    Whoever gets it must read `chunks` to the end or call its `aclose`.
    """

    blob: Blob
    first: int
    last: int
    chunks: AsyncIterator[bytes]

    @property
    def size_bytes(self) -> int:
        return self.last - self.first + 1


class Upload(Resource, frozen=True, kw_only=True):
    """A segmented upload under way; nothing of it can be read before it is finished."""

    blob_id: str
    bucket_id: str


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One stored part of an upload. `order` counts from 1; `id` is the cloud's own."""

    order: int
    id: str
