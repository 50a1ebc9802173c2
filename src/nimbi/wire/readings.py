"""What was read of answers that come again word for word, as lists do that nobody changed."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

# Of the answers; what was read of them takes about as much again.
MOST_BYTES = 4 * 2**20


class Readings(Generic[T]):
    """Keeps what was read, by the whole text of the answer; the longest unused goes first.

    The same text can only be read the same way, whoever it was for. `most_bytes` is for all texts,
    and a quarter of it for each.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[Hashable, bytes], T] = OrderedDict()
        self._size_bytes = 0

    def find(self, kind: Hashable, text: bytes) -> T | None:
        """Return what was kept of a text, which was read as `kind`."""
        key = (kind, text)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, kind: Hashable, text: bytes, what: T) -> None:
        """Keep what was read of a text; it must never change."""
        key = (kind, text)
        if key in self._kept or len(text) > self._most_bytes // 4:
            return
        self._kept[key] = what
        self._size_bytes += len(text)
        while self._size_bytes > self._most_bytes:
            (_, oldest), _ = self._kept.popitem(last=False)
            self._size_bytes -= len(oldest)
