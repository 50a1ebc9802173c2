"""Tables: things of one kind by id that never change, so that readers need no lock."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cached_property
from hashlib import blake2s
from hmac import compare_digest
from types import GenericAlias
from typing import Any, Generic, Protocol, Self, TypeVar, get_args, get_origin

import msgspec

from nimbi.model.errors import Invalid, NotFound
from nimbi.model.page import Page

LIMITS = (1, 1000)


class HasId(Protocol):
    """What a table can hold."""

    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=HasId)


class Table(Generic[R]):
    """Things in the order of their ids, numbers counted: inst2 is before inst10.

    A change gives a new table; pages are kept ready and cost nothing until the next change.
    """

    def __init__(self, items: Iterable[R] = ()) -> None:
        self._by_id = {item.id: item for item in items}
        self._views: dict[str, Self] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def find(self, id: str) -> R | None:
        return self._by_id.get(id)

    def get(self, id: str, noun: str) -> R:
        """Return one thing. Raises NotFound, with words for a person: `noun` is what is sought."""
        found = self._by_id.get(id)
        if found is None:
            raise NotFound(f"there is no {noun} {id!r}")
        return found

    def having(self, *items: R) -> Self:
        """Return a table with these too; they replace those with the same ids."""
        return self._like(self._by_id | {item.id: item for item in items})

    def without(self, *ids: str) -> Self:
        return self._like({id: item for id, item in self._by_id.items() if id not in ids})

    def changed_since(self, other: Self) -> tuple[R, ...]:
        """Return the items that the other table has not, or has otherwise."""
        return tuple(i for id, i in self._by_id.items() if other._by_id.get(id) is not i)

    def where(self, wanted: Callable[[R], bool]) -> Self:
        return self._like({id: item for id, item in self._by_id.items() if wanted(item)})

    def view(self, name: str, wanted: Callable[[R], bool]) -> Self:
        """Return what `where` does, kept for the next caller who gives the same name."""
        found = self._views.get(name)
        if found is None:
            found = self._views[name] = self.where(wanted)
        return found

    @cached_property
    def whole(self) -> Page[R]:
        """All items, in order, as one page."""
        ids = sorted(self._by_id, key=self.rank)
        return Page(tuple(self._by_id[id] for id in ids))

    @cached_property
    def _ranks(self) -> list[Any]:
        return [self.rank(item.id) for item in self.whole.items]

    def rank(self, id: str) -> Any:
        """Return what orders this id among the others, whether it is in the table or not."""
        return _natural(id)

    def after(self, id: str | None, limit: int) -> tuple[R, ...]:
        """Return up to `limit` items after this id, which may be gone by now."""
        start = 0 if id is None else bisect_right(self._ranks, self.rank(id))
        return self.whole.items[start : start + limit]

    def _like(self, by_id: dict[str, R]) -> Self:
        table = type(self).__new__(type(self))
        table._by_id = by_id  # noqa: SLF001  its own kind
        table._views = {}  # noqa: SLF001  its own kind
        return table


class PlainTable(Table[R]):
    """Things in the order of their ids, letter by letter, as object stores list them."""

    def rank(self, id: str) -> Any:
        return id


class Listed(Table[R]):
    """Things that are never added to or removed, in the order given."""

    def __init__(self, items: Iterable[R]) -> None:
        super().__init__(items)
        self._place = {id: n for n, id in enumerate(self._by_id)}

    def rank(self, id: str) -> Any:
        return self._place.get(id, -1)


def _natural(id: str) -> Any:
    # Digits are ranked by length, then text: int() refuses numbers of thousands of digits.
    parts = re.split(r"([0-9]+)", id)
    numbers = [(len(digits.lstrip("0")), digits.lstrip("0")) for digits in parts[1::2]]
    return (parts[0], *(x for pair in zip(numbers, parts[2::2], strict=True) for x in pair)), id


def page_of(
    table: Table[R], marker: str | None, limit: int, *, scope: str, secret: Callable[[], str]
) -> Page[R]:
    """Return one page of a table. Markers are of one `scope`, sealed with the secret."""
    if not LIMITS[0] <= limit <= LIMITS[1]:
        raise Invalid(f"the limit of a page is {LIMITS[0]} to {LIMITS[1]}, not {limit}")
    if marker is None and len(table) <= limit:
        return table.whole
    last = None if marker is None else _unsealed(marker, scope, secret())
    found = table.after(last, limit + 1)
    if len(found) <= limit:
        return Page(found)
    return Page(found[:limit], _sealed(found[limit - 1].id, scope, secret()))


def _sealed(id: str, scope: str, secret: str) -> str:
    seal = blake2s(f"{scope}\0{id}".encode(), key=bytes.fromhex(secret), digest_size=8)
    return f"{urlsafe_b64encode(id.encode()).decode()}.{seal.hexdigest()}"


def _unsealed(marker: str, scope: str, secret: str) -> str:
    try:
        id = urlsafe_b64decode(marker.partition(".")[0]).decode()
    except (binascii.Error, ValueError):
        id = ""
    if not compare_digest(_sealed(id, scope, secret).encode(), marker.encode(errors="replace")):
        raise Invalid("the marker of the page is not one that this list gave")
    return id


def encoded(value: Any) -> Any:
    """Give msgspec a table as a list."""
    if isinstance(value, Table):
        return value.whole.items
    raise NotImplementedError(f"no form on disk for {type(value)}")


def decoded(kind: Any, value: Any) -> Any:
    """Make msgspec's list a table again."""
    table: type[Table[Any]] = get_origin(kind)
    return table(msgspec.convert(value, GenericAlias(list, get_args(kind))))
