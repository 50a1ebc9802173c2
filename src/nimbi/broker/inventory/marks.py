"""Marks: by which a thing shows that Nimbi made it, in whatever its cloud tells of it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from nimbi.model.resource import Resource

# Where the token alone makes an id, that ends with so many characters of the mark.
IN_ID = 16


def mark_of(token: str) -> bytes:
    """Return what drivers put to a thing, as a tag or client token, that is made with a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()


def marks_in(resource: Resource, marks: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return which of the marks the cloud's own answer about a thing has, or its id."""
    told = _encode(dict(resource.extra))
    id = resource.id.encode("utf-8", "replace")
    return tuple(mark for mark in marks if mark in told or mark[:IN_ID] in id)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
