"""Blobs as headers and lists tell of them."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from nimbi.drivers.ec2.objects.names import decoded, metadata_of
from nimbi.model.buckets import Blob, BlobCondition, NewBlob
from nimbi.model.errors import CloudUnavailable, Conflict
from nimbi.wire.xml_read import Element

# What one can ask for as an etag; nothing else is one.
_ETAG = re.compile(r"[!#-~\x80-\xff]{1,256}\Z")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")

# What describes the content besides its type, and stays when metadata are replaced.
KEPT_HEADERS = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Expires",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)


def plain_etag(text: str | None) -> str | None:
    """Return an etag without its quotes."""
    return (text or "").strip().removeprefix("W/").strip('"') or None


def blob_of(bucket: str, key: str, headers: Mapping[str, str]) -> Blob:
    """Return what the headers of a whole blob, or of a part of it, tell."""
    return Blob(
        id=key,
        bucket_id=bucket,
        size_bytes=_size(headers),
        content_type=headers.get("Content-Type"),
        modified_at=_when(headers.get("Last-Modified")),
        etag=plain_etag(headers.get("ETag")),
        metadata=metadata_of(headers),
    )


def listed(bucket: str, entries: Iterable[Element], *, is_encoded: bool) -> tuple[Blob, ...]:
    """Return the blobs that a list tells; it tells neither type nor metadata."""
    found = []
    for entry in entries:
        key = entry.findtext("Key") or ""
        found.append(
            Blob(
                id=decoded(key) if is_encoded else key,
                bucket_id=bucket,
                size_bytes=_number(entry.findtext("Size")),
                content_type=None,
                modified_at=moment(entry.findtext("LastModified")),
                etag=plain_etag(entry.findtext("ETag")),
            )
        )
    return tuple(found)


def part_told(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the first and last byte that an answer says it brings."""
    found = _RANGE.match(headers.get("Content-Range", ""))
    return (int(found[1]), int(found[2])) if found else None


def md5_of(headers: Mapping[str, str]) -> str | None:
    """Return the checksum of the content, where the etag is one.

    It is none for what came in parts, and for what S3 encrypts by keys of others.
    """
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    if encryption != "AES256" or "x-amz-server-side-encryption-customer-algorithm" in headers:
        return None
    etag = plain_etag(headers.get("ETag")) or ""
    return etag if _MD5.match(etag) else None


def quoted(etag: str) -> str:
    """Return an etag as a header tells it. Raises Conflict for what can be none."""
    if _ETAG.match(etag) is None:
        raise Conflict("no blob has the expected etag")
    return f'"{etag}"'


def write_conditions(new: NewBlob) -> dict[str, str]:
    """Return the headers for the conditions of a write."""
    found = {}
    if new.only_new:
        found["If-None-Match"] = "*"
    if new.only_over is not None:
        found["If-Match"] = quoted(new.only_over)
    return found


def read_conditions(where: BlobCondition) -> dict[str, str]:
    """Return the headers for the conditions of a read."""
    found = {}
    if where.etag is not None:
        found["If-Match"] = quoted(where.etag)
    if where.other_than is not None and _ETAG.match(where.other_than):
        found["If-None-Match"] = quoted(where.other_than)
    return found


def moment(text: str | None) -> datetime | None:
    """Return a time of XML: `2026-11-21T10:57:13.000Z`."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _when(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _size(headers: Mapping[str, str]) -> int:
    found = _RANGE.match(headers.get("Content-Range", ""))
    return int(found[3]) if found else _number(headers.get("Content-Length"))


def _number(text: str | None) -> int:
    told = text or ""
    if not (told.isascii() and told.isdigit() and len(told) < 19):
        raise CloudUnavailable("the store does not tell how large a blob is")
    return int(told)
