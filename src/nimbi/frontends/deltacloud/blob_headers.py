"""Headers of blobs: metadata both ways, names of files, dates, conditions."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote

from nimbi.frontends.deltacloud.parameters import Parameters, natural
from nimbi.frontends.deltacloud.reply import Headers
from nimbi.model.buckets import Blob
from nimbi.model.errors import Invalid

METADATA_PREFIX = b"x-deltacloud-blobmeta-"

# What a header's name may hold (RFC 9110, section 5.6.2).
NAME_SAFE = "!#$&+-.^_`|~"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]+")
_META_NAME = re.compile(r"meta_name\d+", re.ASCII)
_MEDIA_TYPE = re.compile(r"[\x20-\x7e]{1,255}")

OCTETS = "application/octet-stream"

# Most metadata that one blob may carry: what S3 allows is 2 KiB, and others somewhat more.
MAX_METADATA_CHARS = 8192


def metadata_of(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the metadata that a request's headers tell, names in lower case."""
    found = {
        name[len(METADATA_PREFIX) :].decode("latin-1"): _text(value)
        for name, value in headers.items()
        if name.startswith(METADATA_PREFIX) and len(name) > len(METADATA_PREFIX)
    }
    return _checked(found)


def metadata_of_form(parameters: Parameters) -> dict[str, str]:
    """Return the metadata of `meta_name1`, `meta_value1`, …, as if it came in headers."""
    found: dict[str, str] = {}
    for parameter in sorted((n for n in parameters.texts if _META_NAME.fullmatch(n)), key=natural):
        name = parameters.line(parameter)
        if name is not None:
            value = parameters.line("meta_value" + parameter.removeprefix("meta_name"))
            found[name.lower().removeprefix(METADATA_PREFIX.decode())] = value or ""
    return _checked(found)


def metadata_headers(metadata: Mapping[str, str]) -> Headers:
    """Return metadata as headers; what a header cannot hold is percent-encoded."""
    return tuple(
        (
            METADATA_PREFIX + quote(name.lower(), safe=NAME_SAFE).encode("ascii"),
            header_text(value),
        )
        for name, value in metadata.items()
    )


def header_text(text: str) -> bytes:
    """Return a text as the value of a header: UTF-8, with control characters percent-encoded."""
    clean = _CONTROL.sub(lambda match: f"%{ord(match.group()):02X}", text)
    return clean.encode("utf-8", "replace").strip()


def content_type(told: str | None) -> str:
    return told if told and _MEDIA_TYPE.fullmatch(told) else OCTETS


def disposition(name: str) -> bytes:
    """Return the header that makes a browser save the content under a name (RFC 6266)."""
    if _PLAIN_NAME.fullmatch(name):
        return b"attachment; filename=" + name.encode("ascii")
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()


def entity_tag(blob: Blob) -> str | None:
    """Return the blob's tag in quotes, None when the cloud has none that a header can hold."""
    if blob.etag is None:
        return None
    bare = blob.etag.removeprefix("W/").strip('"')
    if not bare or _CONTROL.search(bare) or '"' in bare or not bare.isascii():
        return None
    return f'"{bare}"'


def http_date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC), usegmt=True)


def is_other(headers: Mapping[bytes, bytes], tag: str | None, at: datetime | None) -> bool:
    """Return whether the client expects another content than this (RFC 9110, section 13.1)."""
    told = headers.get(b"if-match")
    if told is not None:
        return not matches(told, tag)
    before = headers.get(b"if-unmodified-since")
    date = _date(before) if before is not None and at is not None else None
    return date is not None and at is not None and at.replace(microsecond=0) > date


def matches(header: bytes, tag: str | None) -> bool:
    """Return whether an If-Match names the tag, byte for byte; `*` names any that there is."""
    given = tags_of(header)
    return tag is not None and ("*" in given or tag in given)


def tags_of(header: bytes) -> list[str]:
    """Return what an If-Match or If-None-Match lists, quotes kept; `*` is one of them."""
    return [part.strip() for part in header.decode("latin-1").split(",")]


def is_unchanged(headers: Mapping[bytes, bytes], tag: str | None, at: datetime | None) -> bool:
    """Return whether the client has the content already (RFC 9110, section 13.1)."""
    told = headers.get(b"if-none-match")
    if told is not None:
        return tag is not None and names_tag(told, tag)
    since = headers.get(b"if-modified-since")
    date = _date(since) if since is not None and at is not None else None
    return date is not None and at is not None and at.replace(microsecond=0) <= date


def names_tag(header: bytes, tag: str) -> bool:
    """Return whether an If-None-Match names the tag; `*` names any, `W/` is not looked at."""
    given = [part.removeprefix("W/") for part in tags_of(header)]
    return "*" in given or tag in given or tag.strip('"') in given


def range_holds(headers: Mapping[bytes, bytes], tag: str | None, at: datetime | None) -> bool:
    """Return whether If-Range lets the Range count: the content is still what the client knows."""
    told = headers.get(b"if-range")
    if told is None:
        return True
    text = told.decode("latin-1").strip()
    if text.startswith('"'):
        return text == tag
    date = _date(told)
    return date is not None and at is not None and at.replace(microsecond=0) == date


def _date(header: bytes) -> datetime | None:
    try:
        date = parsedate_to_datetime(header.decode("latin-1"))
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _checked(metadata: dict[str, str]) -> dict[str, str]:
    for name, value in metadata.items():
        if not _TOKEN.fullmatch(name):
            raise Invalid(f"{name[:60]!r} cannot be the name of metadata")
        if _CONTROL.search(value):
            raise Invalid(f"metadata {name!r} holds a control character")
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_CHARS:
        raise Invalid(f"there are more than {MAX_METADATA_CHARS} characters of metadata")
    return metadata
