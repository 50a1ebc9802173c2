"""Marks: by which a thing shows that Nimbi made it, in whatever its cloud tells of it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from nimbi.model.resource import Resource


def mark_of(token: str) -> bytes:
    """Return what drivers put to a thing, as a tag or client token, that is made with a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()


def marks_in(resource: Resource, marks: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return which of the marks the cloud's own answer about a thing has."""
    told = _encode(dict(resource.extra))
    return tuple(mark for mark in marks if mark in told)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
