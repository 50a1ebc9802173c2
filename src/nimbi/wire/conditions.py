"""Conditional requests of HTTP: entity tags and dates (RFC 9110, sections 8.8 and 13)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_CONTROL = re.compile("[\x00-\x1f\x7f]")

Headers = Mapping[bytes, bytes]


def entity_tag(etag: str | None) -> str | None:
    """Return a cloud's tag in quotes, None when there is none that a header can hold."""
    if etag is None:
        return None
    bare = etag.removeprefix("W/").strip('"')
    if not bare or _CONTROL.search(bare) or '"' in bare or not bare.isascii():
        return None
    return f'"{bare}"'


def http_date(at: datetime) -> str:
    """Return a time as headers have it: `Sun, 06 Nov 1994 08:49:37 GMT`."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def is_other(headers: Headers, tag: str | None, at: datetime | None) -> bool:
    """Return whether the client expects another content than this (section 13.1)."""
    told = headers.get(b"if-match")
    if told is not None:
        return not matches(told, tag)
    before = headers.get(b"if-unmodified-since")
    date = _date(before) if before is not None and at is not None else None
    return date is not None and at is not None and at.replace(microsecond=0) > date


def is_unchanged(headers: Headers, tag: str | None, at: datetime | None) -> bool:
    """Return whether the client has the content already (section 13.1)."""
    told = headers.get(b"if-none-match")
    if told is not None:
        return tag is not None and names_tag(told, tag)
    since = headers.get(b"if-modified-since")
    date = _date(since) if since is not None and at is not None else None
    return date is not None and at is not None and at.replace(microsecond=0) <= date


def range_holds(headers: Headers, tag: str | None, at: datetime | None) -> bool:
    """Return whether If-Range lets the Range count: the content is still what the client knows."""
    told = headers.get(b"if-range")
    if told is None:
        return True
    text = told.decode("latin-1").strip()
    if text.startswith('"'):
        return text == tag
    date = _date(told)
    return date is not None and at is not None and at.replace(microsecond=0) == date


def matches(header: bytes, tag: str | None) -> bool:
    """Return whether an If-Match names the tag, byte for byte; `*` names any that there is."""
    given = tags_of(header)
    return tag is not None and ("*" in given or tag in given)


def names_tag(header: bytes, tag: str) -> bool:
    """Return whether an If-None-Match names the tag; `*` names any, `W/` is not looked at."""
    given = [part.removeprefix("W/") for part in tags_of(header)]
    return "*" in given or tag in given or tag.strip('"') in given


def tags_of(header: bytes) -> list[str]:
    """Return what an If-Match or If-None-Match lists, quotes kept; `*` is one of them."""
    return [part.strip() for part in header.decode("latin-1").split(",")]


def _date(header: bytes) -> datetime | None:
    try:
        date = parsedate_to_datetime(header.decode("latin-1"))
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
