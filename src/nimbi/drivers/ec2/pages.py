"""Pages of lists by AWS's rules, which know no page of fewer than five items, or no page at all."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from nimbi.model.errors import Invalid
from nimbi.model.page import Page
from nimbi.model.resource import Resource

R = TypeVar("R", bound=Resource)

# Asked for a page of `size` items after a token: the items, perhaps more, and the next token.
Fetch = Callable[[str | None, int], Awaitable[tuple[Sequence[R], str | None]]]

# What DescribeInstances and its kin take as MaxResults.
SMALLEST, LARGEST = 5, 1000

# The last items seen of a page that is read in parts; all of them would have to vanish at once
# before the place were lost.
REMEMBERED = 16


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place in a list: which of its parts, the cloud's token of a page, what was seen of it."""

    part: int = 0
    token: str | None = None
    seen: tuple[str, ...] = ()

    def marker(self) -> str:
        """Return it as text for a caller."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


def position(marker: str | None, parts: int = 1) -> Position:
    """Return the place of a marker. Raises Invalid for one that no page gave."""
    if marker is None:
        return Position()
    try:
        raw = base64.b64decode(marker, altchars=b"-_", validate=True)
        found = msgspec.json.decode(raw, type=Position)
    except (ValueError, binascii.Error):
        raise Invalid("no page gave this marker") from None
    if not 0 <= found.part < parts:
        raise Invalid("no page gave this marker")
    return found


async def paged(
    fetches: Fetch[R] | Sequence[Fetch[R]],
    marker: str | None,
    limit: int,
    smallest: int = SMALLEST,
    largest: int = LARGEST,
) -> Page[R]:
    """Return up to `limit` items of a list, or of several lists one after another.

    The cloud's page may be larger than the limit: then it is read again for what is left of it.
    """
    parts = (fetches,) if callable(fetches) else tuple(fetches)
    here = position(marker, len(parts))
    found: Sequence[R] = ()
    while True:
        items, token = await parts[here.part](here.token, min(max(limit, smallest), largest))
        rest, room = _after(items, here.seen), limit - len(found)
        if len(rest) > room:
            seen = (*here.seen, *(item.id for item in rest[:room]))[-REMEMBERED:]
            found = (*found, *rest[:room])
            return Page(found, Position(here.part, here.token, seen).marker())
        # A whole page stays the very tuple that it is: whoever knows that knows what is in it.
        found = (*found, *rest) if found else rest
        ahead = _ahead(here, token, len(parts))
        # Between lists the next one is looked at, since it may be empty.
        if ahead is None or (token and found):
            return Page(tuple(found), ahead.marker() if ahead else None)
        here = ahead


def sliced(items: Iterable[R], marker: str | None, limit: int) -> Page[R]:
    """Return up to `limit` items of a list that the cloud gives only as a whole, in its order."""
    here = position(marker)
    rest = _after(tuple(items), here.seen)
    page = tuple(rest[:limit])
    if len(rest) <= limit:
        return Page(page)
    seen = (*here.seen, *(item.id for item in page))[-REMEMBERED:]
    return Page(page, Position(seen=seen).marker())


def _after(items: Sequence[R], seen: Sequence[str]) -> Sequence[R]:
    """Return what comes after the last of the seen items that is still there.

    Raises Invalid when none of them is, and there were more than could be remembered.
    """
    if not seen:
        return items
    places = {item.id: at for at, item in enumerate(items)}
    for id in reversed(seen):
        if id in places:
            return items[places[id] + 1 :]
    # What is left was not seen, when no more was seen than is remembered.
    if items and len(seen) >= REMEMBERED:
        raise Invalid("the list has changed too much since the page before: begin anew")
    return items


def _ahead(here: Position, token: str | None, parts: int) -> Position | None:
    if token:
        return Position(here.part, token)
    return Position(here.part + 1) if here.part + 1 < parts else None
