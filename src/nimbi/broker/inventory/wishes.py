"""What may be asked of the inventory, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from nimbi.broker.access import Caller
from nimbi.model.accounts import Part
from nimbi.store.listing import EQUALS
from nimbi.store.listing import SORTS as COLUMN_OF

__all__ = ["EQUALS", "PREFIX", "SORTS", "TAG", "Listing", "Row", "Wish"]

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
DEADLINE_S = 10.0
LONGEST_DEADLINE_S = 300.0

# What lists can be filtered by, beside EQUALS of the store: how a name begins, and tags.
PREFIX = "name_prefix"
TAG = "tag:"
# What lists can be sorted by; a minus in front turns the order around.
SORTS = tuple(COLUMN_OF)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One list over several accounts.

    `accounts` None is all that are enabled. `filters` are by the names of EQUALS, `name_prefix`,
    and `tag:NAME`; a thing must be as all of them say. `sort` is one of SORTS, `-created_at` is
    the latest first; None sorts by id. What lacks a value sorts as an empty one. `limit` (1 to
    1000) is for a page, None is DEFAULT_LIMIT; of a stream it is the number of all rows, None is no
    limit. `marker` is the `next` of the page before. `fresh` asks the clouds, whose answers may
    take `deadline_s`. `caller` is who asks, and sees what is its tenant's; None sees all.
    """

    collection: str
    accounts: tuple[str, ...] | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str | None = None
    limit: int | None = None
    marker: str | None = None
    fresh: bool = False
    deadline_s: float = DEADLINE_S
    caller: Caller | None = None


@dataclass(frozen=True)
class Row:
    """One thing of one account: `body` is its JSON, with a member `account`."""

    account: str
    id: str
    body: msgspec.Raw


@dataclass(frozen=True)
class Listing:
    """One page: the things' JSON in order, what each account gave, and the marker of the next."""

    items: tuple[msgspec.Raw, ...]
    parts: tuple[Part, ...]
    next: str | None = None
