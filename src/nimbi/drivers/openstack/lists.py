"""Lists in the order of ids: no coming and going of others changes that."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.ids import ID
from nimbi.drivers.openstack.pages import NO_MARKER, items_of, next_marker
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import Invalid

T = TypeVar("T")
Json = Mapping[str, Any]

# The most that any service gives at once.
LARGEST = 1000
# A list from which things are sorted out is read in larger parts than what is asked for.
SIFTED = 250


async def page_of(
    session: Session,
    service: str,
    path: str,
    marker: str | None,
    limit: int,
    told: Callable[[Json], T | None],
    query: Mapping[str, Any] | None = None,
) -> tuple[tuple[T, ...], str | None]:
    """Return up to `limit` things after the one with the id `marker`, and the next marker.

    `path` is that of the list: `/networks`, `/volumes/detail`. `told` reads one; None leaves it
    out. Raises Invalid for a marker that no page gave.
    """
    if marker is not None and not ID.fullmatch(marker):
        raise Invalid("no page gave this marker")
    found: list[tuple[str, T]] = []
    at = marker
    least = SIFTED if query else 1
    # One more than asked, since only that tells whether another page follows.
    while len(found) <= limit:
        size = min(max(limit + 1 - len(found), least), LARGEST)
        items, at = await _part(session, service, path, at, size, query or {})
        # What the marker stands for may be gone; then some lists begin anew.
        later = (item for item in items if marker is None or item["id"] > marker)
        found += [(i["id"], thing) for i in later if (thing := told(i)) is not None]
        if at is None:
            break
    page = found[:limit]
    return tuple(thing for _, thing in page), page[-1][0] if len(found) > limit else None


async def all_of(
    session: Session, path: str, query: Mapping[str, Any], *, service: str = "network"
) -> list[Json]:
    """Return all things of a list that fit the query."""
    found: list[Json] = []
    at: str | None = None
    while True:
        items, at = await _part(session, service, path, at, LARGEST, query)
        found += items
        if at is None:
            return found


async def _part(
    session: Session, service: str, path: str, at: str | None, size: int, query: Mapping[str, Any]
) -> tuple[list[Json], str | None]:
    """Return some things after `at`, or from the beginning on when that is gone, and where next."""
    asked = {**query, "sort_key": "id", "sort_dir": "asc", "limit": size, "marker": at}
    try:
        answer = await session.get(service, path, asked)
    except OpenStackError as error:
        if at is None or error.status not in NO_MARKER:
            raise
        answer = await session.get(service, path, {**asked, "limit": LARGEST, "marker": None})
    key = path.removesuffix("/detail").rpartition("/")[2].replace("-", "_")
    items: list[Json] = list(items_of(answer, key))
    more = next_marker(answer, key) is not None
    return items, items[-1]["id"] if items and more else None
