"""Documents that were written before, for as long as a cloud gives the very same list."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from hashlib import md5
from typing import Any, NamedTuple

# Enough for the lists that are asked for again and again; longer ones cost more to keep than to
# write.
MOST_DOCUMENTS = 64
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
        self._kept: OrderedDict[Hashable, Document] = OrderedDict()

    def find(self, items: Sequence[Any], how: Hashable) -> Document | None:
        """Return the document of this very list, written in this way."""
        key = (id(items), how)
        found = self._kept.get(key)
        # The document holds its list, so no other list can have the same id meanwhile.
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, items: Sequence[Any], how: Hashable, body: bytes) -> Document:
        """Return the document; keep it when its list is a tuple and the body is not too long."""
        document = Document(items, body, tag_of(body))
        if isinstance(items, tuple) and len(body) <= LONGEST_BYTES:
            self._kept[id(items), how] = document
            if len(self._kept) > MOST_DOCUMENTS:
                self._kept.popitem(last=False)
        return document


def tag_of(body: bytes) -> str:
    """Return an ETag with its quotes: the MD5 of the body, as the original's is."""
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'
