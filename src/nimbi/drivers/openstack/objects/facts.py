"""Blobs as headers and lists tell of them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from nimbi.drivers.openstack.objects.names import metadata_of
from nimbi.model.buckets import Blob, BlobCondition
from nimbi.model.errors import CloudUnavailable, Conflict

# What one can ask for as an etag; nothing else is one.
_ETAG = re.compile(r"[!#-~\x80-\xff]{1,256}\Z")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z")
_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?\Z")

# What describes the content besides its type, and is forgotten when it is not told again.
KEPT_HEADERS = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Expires",
    "X-Delete-At",
)


def plain_etag(text: str | None) -> str | None:
    """Return an etag without its quotes, which those of large objects have."""
    return (text or "").strip().removeprefix("W/").strip('"') or None


def is_manifest(headers: Mapping[str, str]) -> bool:
    """Return whether the segments of a blob are named by a list of its own."""
    return headers.get("X-Static-Large-Object", "").lower() == "true"


def blob_of(bucket: str, key: str, headers: Mapping[str, str]) -> Blob:
    """Return what the headers of a whole blob, or of a part of it, tell."""
    return Blob(
        id=key,
        bucket_id=bucket,
        size_bytes=_size(headers),
        content_type=headers.get("Content-Type"),
        modified_at=timestamp(headers.get("X-Timestamp")) or _when(headers.get("Last-Modified")),
        etag=plain_etag(headers.get("ETag")),
        metadata=metadata_of(headers),
    )


def listed(bucket: str, entry: Mapping[str, Any]) -> Blob:
    """Return the blob that an entry of a list tells, without its metadata."""
    return Blob(
        id=str(entry["name"]),
        bucket_id=bucket,
        size_bytes=int(entry["bytes"]),
        content_type=entry.get("content_type"),
        modified_at=moment(entry.get("last_modified")),
        etag=plain_etag(entry.get("slo_etag") or entry.get("hash")),
    )


def part_told(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the first and last byte that an answer says it brings."""
    found = _RANGE.match(headers.get("Content-Range", ""))
    return (int(found[1]), int(found[2])) if found else None


def md5_of(headers: Mapping[str, str]) -> str | None:
    """Return the checksum of the content; None for what is made of segments."""
    if is_manifest(headers) or "X-Object-Manifest" in headers:
        return None
    etag = plain_etag(headers.get("ETag")) or ""
    return etag if _MD5.match(etag) else None


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that describe a blob and must be told again."""
    return {name: headers[name] for name in KEPT_HEADERS if name in headers}


def read_conditions(where: BlobCondition) -> dict[str, str]:
    """Return the headers for the conditions of a read. Raises Conflict for what is no etag."""
    found = {}
    if where.etag is not None:
        if _ETAG.match(where.etag) is None:
            raise Conflict("no blob has the expected etag")
        found["If-Match"] = f'"{where.etag}"'
    if where.other_than is not None and _ETAG.match(where.other_than):
        found["If-None-Match"] = f'"{where.other_than}"'
    return found


def moment(text: str | None) -> datetime | None:
    """Return a time of a list: `2026-11-21T10:57:13.123450`, which is UTC."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def timestamp(text: str | None) -> datetime | None:
    """Return a time that is told in seconds: `1763722633.12345`."""
    if _SECONDS.match(text or "") is None:
        return None
    seconds, _, rest = (text or "").partition(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(f"{rest:0<6}"[:6]))


def _when(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _size(headers: Mapping[str, str]) -> int:
    found = _RANGE.match(headers.get("Content-Range", ""))
    told = found[3] if found else headers.get("Content-Length", "")
    if not (told.isascii() and told.isdigit() and len(told) < 19):
        raise CloudUnavailable("the store does not tell how large a blob is")
    return int(told)
