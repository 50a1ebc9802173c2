"""Headers that go with content: metadata both ways, media types, names of files."""

import re
from collections.abc import Mapping
from urllib.parse import quote

Headers = tuple[tuple[bytes, bytes], ...]

# What a header's name may hold (RFC 9110, section 5.6.2).
NAME_SAFE = "!#$&+-.^_`|~"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MEDIA_TYPE = re.compile(r"[\x20-\x7e]{1,255}")

OCTETS = "application/octet-stream"

# Most metadata that one blob may carry: what S3 allows is 2 KiB, and others somewhat more.
MAX_METADATA_CHARS = 8192


def metadata_of(headers: Mapping[bytes, bytes], prefix: bytes) -> dict[str, str]:
    """Return the metadata in the headers that have this prefix, names in lower case.

    Raises ValueError as `checked_metadata`.
    """
    return checked_metadata(
        {
            name[len(prefix) :].decode("latin-1"): text_of(value)
            for name, value in headers.items()
            if name.startswith(prefix) and len(name) > len(prefix)
        }
    )


def checked_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return metadata that headers can carry. Raises ValueError for any other."""
    for name, value in metadata.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name[:60]!r} cannot be the name of metadata")
        if _CONTROL.search(value):
            raise ValueError(f"metadata {name!r} holds a control character")
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_CHARS:
        raise ValueError(f"there are more than {MAX_METADATA_CHARS} characters of metadata")
    return metadata


def metadata_headers(metadata: Mapping[str, str], prefix: bytes) -> Headers:
    """Return metadata as headers; what a header cannot hold is percent-encoded."""
    return tuple(
        (prefix + quote(name.lower(), safe=NAME_SAFE).encode("ascii"), header_text(value))
        for name, value in metadata.items()
    )


def header_text(text: str) -> bytes:
    """Return a text as the value of a header: UTF-8, with control characters percent-encoded."""
    clean = _CONTROL.sub(lambda match: f"%{ord(match.group()):02X}", text)
    return clean.encode("utf-8", "replace").strip()


def text_of(value: bytes) -> str:
    """Return a header's value; bytes that are not UTF-8 are read as Latin-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def content_type(told: str | None) -> str:
    """Return a media type that a header can hold; that of any bytes when there is none."""
    return told if told and _MEDIA_TYPE.fullmatch(told) else OCTETS


def disposition(name: str) -> bytes:
    """Return the header that makes a browser save the content under a name (RFC 6266)."""
    if _PLAIN_NAME.fullmatch(name):
        return b"attachment; filename=" + name.encode("ascii")
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()
