"""Documents that were written before, for as long as a cloud gives the very same list."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from hashlib import md5
from typing import Any, NamedTuple

# Enough for the lists that are asked for again and again; longer ones cost more to keep than to
# write.
MOST_DOCUMENTS = 64
# Of lists that were given once only so far: most never come again, and hold what they were read of.
MOST_NEW = 8
LONGEST_BYTES = 1 << 16


class Document(NamedTuple):
    """A document with its tag; `items` is the list that it shows."""

    items: Sequence[Any]
    body: bytes
    tag: str


class Documents:
    """Keeps documents by the identity of the tuple that they show.

    Resources are immutable, and so is a tuple of them: the same tuple can only be written the same
    way. Clouds that answer from what they hold (fixed profiles and realms, a list kept until it
    changes) give the same tuple many times; the answers of others never match, and are not kept
    for long.
    """

    def __init__(self) -> None:
        self._new: OrderedDict[Hashable, Document] = OrderedDict()
        self._kept: OrderedDict[Hashable, Document] = OrderedDict()

    def find(self, items: Sequence[Any], how: Hashable) -> Document | None:
        """Return the document of this very list, written in this way."""
        key = (id(items), how)
        # A document holds its list, so no other list can have the same id meanwhile.
        found = self._kept.get(key) or self._new.pop(key, None)
        if found is not None:
            _put(self._kept, key, found, MOST_DOCUMENTS)
        return found

    def keep(self, items: Sequence[Any], how: Hashable, body: bytes) -> Document:
        """Return the document; keep it when its list is a tuple and the body is not too long."""
        document = Document(items, body, tag_of(body))
        if isinstance(items, tuple) and len(body) <= LONGEST_BYTES:
            _put(self._new, (id(items), how), document, MOST_NEW)
        return document


def _put(
    into: OrderedDict[Hashable, Document], key: Hashable, document: Document, most: int
) -> None:
    """Make a document the youngest; the oldest makes room."""
    into[key] = document
    into.move_to_end(key)
    if len(into) > most:
        into.popitem(last=False)


def tag_of(body: bytes) -> str:
    """Return an ETag with its quotes: the MD5 of the body, as the original's is."""
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'
