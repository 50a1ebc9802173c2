"""What the store tells of buckets and blobs, and the rules for what users choose."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from nimbi.blobstore.errors import Invalid

LONGEST_NAME = 1024
LONGEST_TYPE = 255
MOST_METADATA = 8 * 1024
"""Metadata travel as HTTP headers, of which servers and proxies take about 8 KiB."""
MOST_SEGMENTS = 10_000

# RFC 9110, section 5.6.2: what the name of a header is made of.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Bucket:
    """A bucket and how many blobs are in it."""

    name: str
    blob_count: int
    created_at: datetime


class Blob(NamedTuple):
    """A blob's facts. `etag` is the digest of the content: SHA-256 in hexadecimal.

    That of a blob made of n segments is the digest of their digests, and `-n`. `modified_us` are
    microseconds since 1970.
    """

    name: str
    size_bytes: int
    etag: str
    content_type: str | None
    modified_us: int
    metadata: Mapping[str, str]

    @property
    def modified_at(self) -> datetime:
        return datetime.fromtimestamp(self.modified_us / 1e6, UTC)


@dataclass(frozen=True, kw_only=True)
class NewBlob:
    """What is told of a blob ahead of its content.

    `size_bytes` None is not known. The content is kept only when the blob that it replaces has the
    etag `expected_etag`, or when `is_new` and there is none; else Conflict.
    """

    bucket: str
    name: str
    size_bytes: int | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expected_etag: str | None = None
    is_new: bool = False

    def check(self) -> None:
        """Raise Invalid for what the store does not keep."""
        check_name(self.name, "the name of the blob")
        if self.size_bytes is not None and self.size_bytes < 0:
            raise Invalid(f"a blob can't have {self.size_bytes} bytes")
        told = self.content_type or ""
        if len(told) > LONGEST_TYPE or not _is_shown(told):
            raise Invalid("the content type is too long, or holds a control character")
        check_metadata(self.metadata)


@dataclass(frozen=True)
class Listing:
    """Some blobs of a bucket in the order of their names.

    `prefixes` are the common starts of the names that a delimiter has joined, in order. `last` is
    the name or prefix after which the next page begins, None at the end of the list.
    """

    blobs: tuple[Blob, ...]
    prefixes: tuple[str, ...]
    last: str | None


@dataclass(frozen=True)
class Upload:
    """A segmented upload under way."""

    id: str
    bucket: str
    name: str


@dataclass(frozen=True)
class Segment:
    """One stored part of an upload. `order` counts from 1."""

    order: int
    id: str


def check_name(name: str, what: str) -> None:
    """Raise Invalid unless the name has 1 to 1024 characters of Unicode."""
    if not 1 <= len(name) <= LONGEST_NAME:
        raise Invalid(f"{what} must have 1 to {LONGEST_NAME} characters, not {len(name)}")
    if key(name) is None:
        raise Invalid(f"{what} is not Unicode: it holds half of a surrogate pair")


def check_bucket_name(name: str) -> None:
    """Raise Invalid for what could not be told apart in the path of a URL."""
    check_name(name, "the name of the bucket")
    if "/" in name or name in {".", ".."}:
        raise Invalid(f"a bucket can't be named {name!r}")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise Invalid unless all of it can travel in the headers of HTTP."""
    if sum(len(name) + len(value) for name, value in metadata.items()) > MOST_METADATA:
        raise Invalid(f"the metadata of a blob may have {MOST_METADATA} characters in all")
    if len({name.lower() for name in metadata}) < len(metadata):
        raise Invalid("two names of metadata differ only in case")
    for name, value in metadata.items():
        if not _TOKEN.fullmatch(name):
            raise Invalid(f"{name!r} can't name metadata: it is no HTTP token")
        if not _is_shown(value):
            raise Invalid(f"the metadata {name!r} holds a control character")


def key(name: str) -> bytes | None:
    """Return the name as the index orders it, None for what no stored name can be.

    The order of UTF-8 is that of the code points.
    """
    try:
        return name.encode()
    except UnicodeEncodeError:
        return None


def _is_shown(text: str) -> bool:
    return key(text) is not None and _CONTROL.search(text) is None
