"""Lists in memory, filtered and sorted just as the store does it in SQL."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from heapq import nlargest, nsmallest
from operator import gt, itemgetter, lt
from typing import Any

from nimbi.broker.inventory.bodies import body_of
from nimbi.model.resource import Resource
from nimbi.store.listing import Found, Query
from nimbi.store.moments import stored
from nimbi.store.schema import plain

Key = tuple[str | int, str, str]
Keyed = tuple[Key, Resource]


def fitting(resources: Iterable[Resource], query: Query) -> list[Resource]:
    """Return the things that fit a wish, in no order."""
    found = list(resources)
    for name, value in query.equals.items():
        found = [r for r in found if (getattr(r, name, None) or "") == value]
    if query.name_prefix:
        prefix = query.name_prefix
        found = [r for r in found if (getattr(r, "name", None) or "").startswith(prefix)]
    for tag, value in query.tags.items():
        found = [r for r in found if _tags(r).get(tag) == value]
    return found


def keyed(account: str, resources: Iterable[Resource], query: Query) -> list[Keyed]:
    """Return the first things behind `query.after`, `query.limit` at most, in order."""
    after = query.after
    found = _pairs(account, resources, query.sort)
    if after is not None:
        is_behind: Callable[[Key, Key], bool] = lt if query.descending else gt
        found = (each for each in found if is_behind(each[0], after))
    return _picked(found, query)


def first(found: Iterable[Keyed], query: Query) -> list[Found]:
    """Return the rows with which a list of the things of several accounts begins."""
    return [Found(key, body_of(key[1], resource)) for key, resource in _picked(found, query)]


def _pairs(account: str, resources: Iterable[Resource], sort: str) -> Iterator[Keyed]:
    # One at a time: ten thousand pairs at once would cost a walk of the garbage collector.
    if sort == "id":
        return (((id := plain(r.id), account, id), r) for r in resources)
    value = _value_of(sort)
    return (((value(r), account, plain(r.id)), r) for r in resources)


def _picked(found: Iterable[Keyed], query: Query) -> list[Keyed]:
    pick = nlargest if query.descending else nsmallest
    return pick(query.limit, found, key=itemgetter(0))


def merged(some: list[Found], others: list[Found], query: Query) -> list[Found]:
    """Return the first rows of two lists that are in order each."""
    if not some or not others:
        return (some or others)[: query.limit]
    both = sorted(some + others, key=lambda found: found.key, reverse=query.descending)
    return both[: query.limit]


def _value_of(sort: str) -> Callable[[Resource], str | int]:
    """Return what gives the value that a list is sorted by."""

    def moment(resource: Resource) -> int:
        found = getattr(resource, sort, None)
        return stored(found) if isinstance(found, datetime) else 0

    def word(resource: Resource) -> str:
        found = getattr(resource, sort, None)
        return plain(str(found)) if found else ""

    return moment if sort == "created_at" else word


def _tags(resource: Resource) -> Any:
    return getattr(resource, "tags", {})
