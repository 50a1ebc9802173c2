"""Wishes, checked, in the store's words."""

from typing import cast

from nimbi.broker.inventory.collections import LISTED
from nimbi.broker.inventory.wishes import (
    DEFAULT_LIMIT,
    EQUALS,
    LARGEST_LIMIT,
    LONGEST_DEADLINE_S,
    PREFIX,
    SORTS,
    TAG,
    Wish,
)
from nimbi.model.errors import Invalid
from nimbi.store.listing import Query, Sort


def limit_of(wish: Wish) -> int:
    """Return how many things a page is to have. Raises Invalid."""
    limit = DEFAULT_LIMIT if wish.limit is None else wish.limit
    if not 1 <= limit <= LARGEST_LIMIT:
        raise Invalid(f"limit is from 1 to {LARGEST_LIMIT}, not {limit}")
    return limit


def query_of(wish: Wish) -> Query:
    """Return what to ask the store for, but for accounts and page. Raises Invalid."""
    if wish.collection not in LISTED:
        raise Invalid(f"{wish.collection!r} cannot be listed over accounts")
    if not 0 < wish.deadline_s <= LONGEST_DEADLINE_S:
        raise Invalid(f"a deadline is up to {LONGEST_DEADLINE_S:g} seconds")
    equals, tags, prefix = {}, {}, None
    for name, value in wish.filters.items():
        if name in EQUALS:
            equals[name] = value
        elif name == PREFIX:
            prefix = value
        elif name.startswith(TAG) and name != TAG:
            tags[name.removeprefix(TAG)] = value
        else:
            known = ", ".join((*EQUALS, PREFIX, f"{TAG}NAME"))
            raise Invalid(f"lists are not filtered by {name!r}; there are: {known}")
    sort = wish.sort or "id"
    column = sort.removeprefix("-")
    if column not in SORTS:
        raise Invalid(f"lists are not sorted by {column!r}; there are: {', '.join(SORTS)}")
    return Query(
        collection=wish.collection,
        equals=equals,
        tags=tags,
        name_prefix=prefix,
        sort=cast("Sort", column),
        descending=sort.startswith("-"),
    )
