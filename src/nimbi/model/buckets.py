"""Buckets and the blobs in them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from nimbi.model.features import Feature
from nimbi.model.page import Page
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


class BlobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which blobs to list; no wish lists all of a bucket.

    With a delimiter, the blobs that have it behind the prefix are not told one by one but by their
    common start, up to the first delimiter and with it: folders, when the delimiter is `/`.
    """

    prefix: Annotated[str | None, Feature("prefix", "Only blobs whose ids begin with this.")] = None
    delimiter: Annotated[
        str | None, Feature("delimiter", "Tell what is alike up to this by its common start.")
    ] = None


@dataclass(frozen=True)
class BlobPage(Page[Blob]):
    """A page of blobs, and in `prefixes` the common starts that a delimiter asks for.

    Both are in order, and both count for the limit. All of a page comes before all of the next one;
    no prefix comes twice.
    """

    prefixes: tuple[str, ...] = ()


class NewBlob(NewResource, frozen=True, kw_only=True):
    """What is told of a blob ahead of its content. `size_bytes` is None when it is not known.

    When a size is told, content that is longer or shorter is Invalid and leaves no trace. A write
    whose condition does not hold at its end is a Conflict and leaves what was there.
    """

    bucket_id: str
    id: str
    size_bytes: int | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = {}
    only_new: Annotated[
        bool | None, Feature("write_condition", "Store it only when there is no such blob yet.")
    ] = None
    only_over: Annotated[
        str | None, Feature("write_condition", "Store it only over the blob that has this etag.")
    ] = None


class BlobPlace(msgspec.Struct, frozen=True):
    """Where a blob is, or is to be."""

    bucket_id: str
    id: str


class BlobFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that was to be destroyed with others and is still there.

    `code` is that of the error which destroying it alone would raise, `reason` is for people.
    """

    id: str
    code: str
    reason: str


class BlobCondition(msgspec.Struct, frozen=True, kw_only=True):
    """Which content of a blob to read; no wish reads what there is."""

    etag: Annotated[
        str | None, Feature("read_condition", "Only the content that has this etag.")
    ] = None
    other_than: Annotated[
        str | None, Feature("read_condition", "Only a content that has another etag than this.")
    ] = None


class ByteRange(msgspec.Struct, frozen=True):
    """From `first` to `last`, both included, counted from 0; no `last` is to the end.

    A negative `first` asks for that many bytes at the end. RFC 9110, section 14.1.2.
    """

    first: int
    last: int | None = None


@dataclass(frozen=True)
class FilePart:
    """A part of an open file, for whoever can have the kernel send it."""

    descriptor: int
    first: int
    size_bytes: int


@dataclass(frozen=True)
class SocketPart:
    """Bytes on their way from a cloud, for whoever can have the kernel pass them on.

    First come those of `head`, then `size_bytes` more, all from the socket `descriptor`, which does
    not block. It is silent for `idle_s` seconds at most.
    """

    descriptor: int
    head: bytes
    size_bytes: int
    idle_s: float


@dataclass(frozen=True)
class BlobContent:
    """An open blob: its facts, the part that comes (both ends included), and the bytes.

    Whoever gets it must read `chunks` to the end or call its `aclose`. When the bytes are in one
    file, `file` tells where until then, and when they come as they are over one connection,
    `socket` does; who takes them from there asks for no chunk, and calls `aclose`.
    """

    blob: Blob
    first: int
    last: int
    chunks: AsyncIterator[bytes]
    file: FilePart | None = None
    socket: SocketPart | None = None

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
