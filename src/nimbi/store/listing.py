"""Lists of the inventory's things: filtered, sorted, and continued after the last row of a page."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from nimbi.model.errors import Invalid
from nimbi.store.schema import plain

Sort: TypeAlias = Literal[
    "id", "name", "state", "realm_id", "image_id", "hardware_profile_id", "created_at"
]
# What a list may be sorted by, and the column.
SORTS: Mapping[str, str] = {
    "id": "id",
    "name": "name",
    "state": "state",
    "realm_id": "realm_id",
    "image_id": "image_id",
    "hardware_profile_id": "hardware_profile_id",
    "created_at": "created_us",
}
# What a list may be filtered by: exactly this value.
EQUALS = ("id", "name", "state", "realm_id", "image_id", "hardware_profile_id")


class Visible(msgspec.Struct, frozen=True, kw_only=True):
    """Whose things a list has: those of a tenant and of the tenants below it.

    `path` is the tenant's, `root/a/b/`. In the accounts `rest` what nobody holds is seen too; None
    stands for all accounts. `is_leaf`: there is no tenant below. What it is known to hold is few
    things (`is_narrow`: they are looked up one by one), or not so many that it takes long to gather
    what they are (`is_gathered`).
    """

    path: str
    rest: tuple[str, ...] | None = ()
    is_leaf: bool = False
    is_narrow: bool = False
    is_gathered: bool = False


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What of one collection, in which order, and which page of it.

    `equals` is by the names of EQUALS, `tags` by key; all must fit. `accounts` None means all. Rows
    are sorted by `sort`, then by account and id; text by its bytes. `after` is the `key` of the
    last row before. `visible` None sees all things.
    """

    collection: str
    accounts: tuple[str, ...] | None = None
    equals: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    name_prefix: str | None = None
    made_here: bool | None = None
    visible: Visible | None = None
    sort: Sort = "id"
    descending: bool = False
    after: tuple[str | int, str, str] | None = None
    limit: int = 100


class Found(NamedTuple):
    """One row of a list; `key` continues the list after it, `body` is the thing's JSON."""

    key: tuple[str | int, str, str]
    body: bytes

    @property
    def account(self) -> str:
        return self.key[1]

    @property
    def id(self) -> str:
        return self.key[2]


class Statement(NamedTuple):
    """One SELECT with `?` for its values."""

    sql: str
    values: tuple[Any, ...]


def page(query: Query) -> Statement:
    """Return the SELECT of (sort column, account, id, body) of a page. Raises Invalid."""
    if (column := SORTS.get(query.sort)) is None:
        raise Invalid(f"{query.collection} cannot be sorted by {query.sort!r}")
    where, values = _conditions(query)
    way, beyond = (" desc", "<") if query.descending else ("", ">")
    key = [f"t.{column}", "t.account", "t.id"]
    if _is_held_in_order(query):
        # The same, and the order in which the index of holdings has them.
        key = ["h.thing_id", "h.account", "h.thing_id"]
    if query.after is not None:
        where += f" and ({', '.join(key)}) {beyond} (?, ?, ?)"
        values += [plain(v) if isinstance(v, str) else v for v in query.after]
    order = ", ".join(f"{name}{way}" for name in dict.fromkeys(key))
    # Every piece is ours: names of columns from the tables above, never a caller's words.
    sql = f"select t.{column}, t.account, t.id, t.body from {_source(query)} where {where}"  # noqa: S608
    sql += f" order by {order}"
    return Statement(f"{sql} limit ?", (*values, query.limit))


def count(query: Query) -> Statement:
    """Return the SELECT of (account, how many of its things fit), whatever page is asked for."""
    where, values = _conditions(query)
    sql = f"select t.account, count(*) from {_source(query)} where {where} group by t.account"  # noqa: S608
    return Statement(sql, tuple(values))


def _conditions(query: Query) -> tuple[str, list[Any]]:
    parts, values = ["t.collection = ?"], [plain(query.collection)]
    if query.accounts is not None:
        marks = ", ".join("?" * len(query.accounts))
        parts.append(f"t.account in ({marks})" if marks else "1 = 0")
        values += [plain(account) for account in query.accounts]
    for name, value in query.equals.items():
        if name not in EQUALS:
            raise Invalid(f"{query.collection} cannot be filtered by {name!r}")
        parts.append(f"t.{name} = ?")
        values.append(plain(value))
    if query.made_here is not None:
        parts.append("t.made_here" if query.made_here else "not t.made_here")
    if query.name_prefix:
        _prefix(plain(query.name_prefix), parts, values)
    for key, value in query.tags.items():
        parts.append(TAGGED)
        values += [plain(key), plain(value)]
    if query.visible is not None:
        _seen(query, query.visible, parts, values)
    return " and ".join(parts), values


def _source(query: Query) -> str:
    """Return what is read: things, or what a tenant holds and then those things."""
    is_narrow = query.visible is not None and query.visible.is_narrow
    # SQLite reads a cross join in the order in which it is written.
    is_joined = is_narrow or _is_held_in_order(query)
    return "holdings h cross join things t" if is_joined else "things t"


def _is_held_in_order(query: Query) -> bool:
    """Return whether the index of holdings has the list's things in its order, and no others."""
    visible = query.visible
    return visible is not None and visible.is_leaf and visible.rest == () and query.sort == "id"


OF_THING = "h.account = t.account and h.collection = t.collection and h.thing_id = t.id"
HELD = "h.state = 'held'"
# All paths that begin so are between the path and that with the sign behind the slash.
WITHIN = "h.path >= ? and h.path < ?"
# The same of one thing. Told so, no database looks through all that a tenant holds for it.
HELD_OF_THING = "h.state || '' = 'held'"
WITHIN_OF_THING = "h.path || '' >= ? and h.path || '' < ?"


def _seen(query: Query, visible: Visible, parts: list[str], values: list[Any]) -> None:
    path = [visible.path, visible.path[:-1] + "0"]
    if _is_held_in_order(query):
        parts.append(f"h.collection = ? and {HELD} and h.path = ? and {OF_THING}")
        values += [plain(query.collection), visible.path]
        return
    if visible.is_narrow:
        parts.append(f"{OF_THING} and {HELD} and {WITHIN}")
        values += path
        return
    # Pieces of our own: see `page`.
    held = f"select 1 from holdings h where {OF_THING} and {HELD_OF_THING}"  # noqa: S608
    own = f"exists ({held} and {WITHIN_OF_THING})"
    if visible.is_gathered:
        gathered = f"select h.account, h.thing_id from holdings h where h.collection = ? and {HELD}"  # noqa: S608
        own = f"(t.account, t.id) in ({gathered} and {WITHIN})"
        path = [plain(query.collection), *path]
    if visible.rest == ():
        parts.append(own)
        values += path
        return
    among = ""
    if visible.rest is not None:
        among = f"t.account in ({', '.join('?' * len(visible.rest))}) and "
    parts.append(f"({own} or {among}not exists ({held}))")
    values += [*path, *(plain(account) for account in visible.rest or ())]


TAGGED = (
    "exists (select 1 from labels l where l.account = t.account and l.collection = t.collection"
    " and l.id = t.id and l.key = ? and l.value = ?)"
)
# The last character there is: what begins with a prefix sorts before the prefix and this.
LAST = "\U0010ffff"


def _prefix(prefix: str, parts: list[str], values: list[str]) -> None:
    # A range, which the index serves; LIKE would take % and _ for more than they are.
    parts.append("t.name >= ? and t.name < ?")
    values += [prefix, prefix + LAST]
