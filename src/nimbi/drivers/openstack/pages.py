"""Pages of lists: by links where a service gives them, by full pages where it does not."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from nimbi.model.errors import Invalid
from nimbi.model.page import Page
from nimbi.model.resource import Resource

R = TypeVar("R", bound=Resource)
Item = dict[str, Any]

# The last items of a page. All of them would have to vanish before the place in the list were lost.
REMEMBERED = 8
# How services say that they do not know a marker.
NO_MARKER = frozenset({400, 404})


def items_of(told: Any, key: str) -> list[Item]:
    """Return the items of a list that was answered; none when it has none."""
    items = told.get(key) if isinstance(told, dict) else None
    return items if isinstance(items, list) else []


def next_marker(told: Any, key: str) -> str | None:
    """Return the marker in the link to the next page; None when there is no such link.

    Glance has the link in `next`, the others in `<key>_links`, Octavia in the same.
    """
    if not isinstance(told, dict):
        return None
    links = told.get(f"{key}_links")
    if isinstance(links, list):
        for link in links:
            if isinstance(link, dict) and link.get("rel") == "next":
                return _marker(link.get("href"))
    after = told.get("next")
    return _marker(after) if isinstance(after, str) else None


def _marker(href: Any) -> str | None:
    try:
        return parse_qs(urlsplit(str(href)).query).get("marker", [None])[0]
    except ValueError:
        return None


def places(marker: str | None) -> list[str]:
    """Return the items that a marker of ours names."""
    if marker is None:
        return []
    seen = marker.split("\n")
    if len(seen) > REMEMBERED or not all(seen):
        raise Invalid("no page gave this marker")
    return seen


def sliced(items: Sequence[R], marker: str | None, limit: int) -> Page[R]:
    """Return up to `limit` items of a list that the cloud gives only as a whole, in its order."""
    seen = places(marker)
    ids = {item.id: at for at, item in enumerate(items)}
    first = next((ids[id] + 1 for id in reversed(seen) if id in ids), None)
    if first is None and seen:
        raise Invalid("no page gave this marker, or all that it names is gone")
    page = tuple(items[first or 0 : (first or 0) + limit])
    if (first or 0) + limit >= len(items):
        return Page(page)
    return Page(page, "\n".join([*seen, *(item.id for item in page)][-REMEMBERED:]))
