"""The Range and Content-Range headers of HTTP, for one range of bytes (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

# More digits than any content has, so that a hostile number costs nothing.
_ONE_RANGE = re.compile(r"\s*bytes\s*=[\s,]*(\d{0,18})-(\d{0,18})[\s,]*", re.ASCII | re.IGNORECASE)


class UnsatisfiableRange(ValueError):
    """The range begins after the end of the content: status 416."""


@dataclass(frozen=True)
class Span:
    """The bytes from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def size_bytes(self) -> int:
        return self.last - self.first + 1

    def content_range(self, size_bytes: int) -> str:
        """Return the header of a 206 answer: `bytes 0-9/100`."""
        return f"bytes {self.first}-{self.last}/{size_bytes}"


def resolve(header: str, size_bytes: int) -> Span | None:
    """Return which bytes of content of this size are asked for.

    None says that the header asks for nothing that is understood here (another unit, several
    ranges, bad syntax) and is to be ignored, as RFC 9110 section 14.2 allows. Raises
    UnsatisfiableRange.
    """
    match = _ONE_RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _tail(last, size_bytes)
    if last and int(last) < int(first):
        return None
    if int(first) >= size_bytes:
        raise UnsatisfiableRange(header)
    return Span(int(first), min(int(last), size_bytes - 1) if last else size_bytes - 1)


def unsatisfied_range(size_bytes: int) -> str:
    """Return the Content-Range header of a 416 answer: `bytes */100`."""
    return f"bytes */{size_bytes}"


def _tail(length: str, size_bytes: int) -> Span | None:
    if not length:
        return None
    if int(length) == 0 or size_bytes == 0:
        raise UnsatisfiableRange(length)
    return Span(max(size_bytes - int(length), 0), size_bytes - 1)
