"""Paths with matrix parameters: `/api;driver=ec2/instances/inst1`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

# pchar of RFC 3986 without what has a meaning in matrix parameters, and without the apostrophe,
# so that a quoted path may stand in an XML attribute as it is.
PATH_SAFE = "-._~!$()*+,:@"

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Segment:
    """One decoded segment of a path with its own parameters: `;k=v` gives `{"k": "v"}`."""

    text: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def split(raw_path: bytes) -> tuple[Segment, ...]:
    """Return the segments after the leading slash, decoded after they are split.

    So an encoded slash stays within its segment. Of a parameter named twice the last one counts.
    Raises ValueError when the path does not begin with a slash, an escape is broken, or the bytes
    are not UTF-8.
    """
    if not raw_path.startswith(b"/"):
        raise ValueError("the path does not begin with a slash")
    return tuple(_segment(part) for part in raw_path[1:].decode("utf-8").split("/"))


def join(segments: Iterable[Segment]) -> bytes:
    """Return the raw path of segments: the reverse of `split`."""
    return b"".join(b"/" + _encoded(segment) for segment in segments)


def decoded(text: str) -> str:
    """Return the text without percent escapes. Raises ValueError for what is not UTF-8."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise ValueError("the path holds a broken percent escape")
    return unquote_to_bytes(text).decode("utf-8")


def _segment(part: str) -> Segment:
    if ";" not in part:
        return Segment(decoded(part))
    text, *pairs = part.split(";")
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name:
            parameters[decoded(name)] = decoded(value)
    return Segment(decoded(text), parameters)


def _encoded(segment: Segment) -> bytes:
    pairs = [
        f";{quote(name, safe=PATH_SAFE)}={quote(value, safe=PATH_SAFE)}"
        for name, value in segment.parameters.items()
    ]
    return (quote(segment.text, safe=PATH_SAFE) + "".join(pairs)).encode("ascii")
