"""One list over all accounts, and what each of them gave to it."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

from nimbi.api.routes import LISTS
from nimbi.client.answers import decoded
from nimbi.client.core import Blocking, Core, Looping, call
from nimbi.client.flow import Flow, Received
from nimbi.client.problems import told
from nimbi.client.requests import whole, with_query
from nimbi.client.running import arun, run
from nimbi.client.transport import Answer, AsyncAnswer, AsyncTransport, Request, Transport
from nimbi.model.accounts import Part, PartState
from nimbi.model.errors import UnknownOutcome

T = TypeVar("T")

# What a whole list asks for with each request.
PAGE = 1000
LINES = "application/x-ndjson"

Names = str | Sequence[str] | None


class Listed(NamedTuple, Generic[T]):
    """A thing and the account that it is in: `for account, instance in listing`."""

    account: str
    thing: T


@dataclass(frozen=True)
class Listing(Generic[T]):
    """Things of several accounts, in order, and what each account gave.

    Whoever needs all of it looks at `is_whole`, or calls `check`: a cloud that fails does not make
    the list fail. `next` is the marker of the page after; None after the last.
    """

    items: tuple[Listed[T], ...]
    parts: tuple[Part, ...]
    next: str | None = None

    def __iter__(self) -> Iterator[Listed[T]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def is_whole(self) -> bool:
        """Whether every account gave all it has, as fresh as was asked for."""
        return all(part.state is PartState.OK for part in self.parts)

    def check(self) -> None:
        """Raise what made the list less than whole: the error of the first such account."""
        for part in self.parts:
            if part.state is not PartState.OK:
                problem = part.problem
                words = problem.message if problem else f"its part is {part.state}"
                code = problem.code if problem else ""
                raise told(code, f"{part.account}: {words}")


@dataclass(frozen=True)
class ListWish:
    """Which things of which accounts, in which order, as `Lists.list` takes it.

    `filters` that are None are no wish.
    """

    account: Names = None
    filters: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, str] | None = None
    sort: str | None = None
    fresh: bool = False
    deadline_s: float | None = None

    def pairs(self) -> list[tuple[str, str]]:
        """Return it as a query has it."""
        accounts = [self.account] if isinstance(self.account, str) else self.account or ()
        flags = {
            "sort": self.sort,
            "fresh": "true" if self.fresh else None,
            "deadline": None if self.deadline_s is None else whole(self.deadline_s),
        }
        told = [*self.filters.items(), *flags.items()]
        return [
            *(("account", name) for name in accounts),
            *((name, value) for name, value in told if value is not None),
            *((f"tags.{name}", value) for name, value in (self.tags or {}).items()),
        ]


class _Page(msgspec.Struct, frozen=True):
    items: tuple[msgspec.Raw, ...]
    accounts: tuple[Part, ...]
    next: str | None = None


class _Line(msgspec.Struct, frozen=True):
    """A line of a stream: a thing with its account, or an account's part when it is through."""

    account: str = ""
    part: Part | None = None


class _Lists(Generic[T]):
    """What both ways of calling have: where the list is, and of what type its things are."""

    core: Core

    def _set(self, collection: str) -> None:
        self.collection = collection

    @call
    def list(
        self,
        account: Names = None,
        *,
        limit: int | None = None,
        marker: str | None = None,
        state: str | None = None,
        name: str | None = None,
        name_prefix: str | None = None,
        id: str | None = None,
        realm_id: str | None = None,
        image_id: str | None = None,
        hardware_profile_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        sort: str | None = None,
        fresh: bool = False,
        deadline_s: float | None = None,
    ) -> Flow[Listing[T]]:
        """Return the things of all accounts, or of those that are named, that fit all wishes.

        With a `limit` it is one page, the one after `marker`. `sort` is a field's name, with a
        minus in front for the other way around. With `fresh` the clouds are asked, which may take
        `deadline_s`; else it is what the server knows of them. Never raises for a cloud that fails:
        the listing's parts tell.
        """
        filters = {
            "id": id,
            "name": name,
            "name_prefix": name_prefix,
            "state": state,
            "realm_id": realm_id,
            "image_id": image_id,
            "hardware_profile_id": hardware_profile_id,
        }
        wish = ListWish(account, filters, tags, sort, fresh, deadline_s)
        if limit is not None or marker is not None:
            return self._page(wish, limit, marker)
        return self._whole(wish)

    def _page(self, wish: ListWish, limit: int | None, marker: str | None) -> Flow[Listing[T]]:
        pairs = wish.pairs()
        if limit is not None:
            pairs.append(("limit", str(limit)))
        if marker is not None:
            pairs.append(("marker", marker))
        received = yield from self.core.exchange("GET", with_query(self._path, pairs))
        page: _Page = decoded(received, _Page)
        read = reader(self.collection)
        return Listing(tuple(map(read, page.items)), page.accounts, page.next)

    def _whole(self, wish: ListWish) -> Flow[Listing[T]]:
        items: list[Listed[T]] = []
        parts: dict[str, Part] = {}
        marker: str | None = None
        while True:
            page: Listing[T] = yield from self._page(wish, PAGE, marker)
            items += page.items
            for part in page.parts:
                known = parts.get(part.account)
                if known is None or _BADNESS[part.state] > _BADNESS[known.state]:
                    parts[part.account] = part
            marker = page.next
            if marker is None:
                return Listing(tuple(items), tuple(parts.values()))

    def _stream(self, wish: ListWish) -> Flow[Received]:
        target = with_query(self._path, wish.pairs())
        return self.core.ask(Request("GET", target, {"Accept": LINES}), open=True)

    @property
    def _path(self) -> str:
        return f"/v1/{self.collection}"


# Of an account that is told on several pages, what is least well counts for all of them.
_BADNESS = {state: rank for rank, state in enumerate(PartState)}


class Lists(_Lists[T], Looping):
    """The things of one collection in all accounts; its methods are awaited."""

    def __init__(self, collection: str, core: Core, transport: AsyncTransport) -> None:
        super().__init__(core, transport)
        self._set(collection)

    async def stream(
        self,
        account: Names = None,
        *,
        state: str | None = None,
        tags: Mapping[str, str] | None = None,
        sort: str | None = None,
        fresh: bool = False,
        deadline_s: float | None = None,
    ) -> AsyncIterator[Listed[T] | Part]:
        """Yield things as clouds answer, and each account's Part when it is through."""
        wish = ListWish(account, {"state": state}, tags, sort, fresh, deadline_s)
        received = await arun(self._stream(wish), self.transport)
        answer = cast("AsyncAnswer", received.open)
        lines = Lines(self.collection)
        try:
            async for chunk in answer.chunks():
                for row in lines.feed(chunk):
                    yield row
            lines.end()
        finally:
            await answer.aclose()


class SyncLists(_Lists[T], Blocking):
    """The things of one collection in all accounts."""

    def __init__(self, collection: str, core: Core, transport: Transport) -> None:
        super().__init__(core, transport)
        self._set(collection)

    def stream(
        self,
        account: Names = None,
        *,
        state: str | None = None,
        tags: Mapping[str, str] | None = None,
        sort: str | None = None,
        fresh: bool = False,
        deadline_s: float | None = None,
    ) -> Iterator[Listed[T] | Part]:
        """Yield things as clouds answer, and each account's Part when it is through."""
        wish = ListWish(account, {"state": state}, tags, sort, fresh, deadline_s)
        received = run(self._stream(wish), self.transport)
        answer = cast("Answer", received.open)
        lines = Lines(self.collection)
        try:
            for chunk in answer.chunks():
                yield from lines.feed(chunk)
            lines.end()
        finally:
            answer.close()


class Lines:
    """Rows of a stream, from its bytes."""

    def __init__(self, collection: str) -> None:
        self._read = reader(collection)
        self._left = b""

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Yield the rows that end in a chunk: a Listed or a Part."""
        *whole, self._left = (self._left + chunk).split(b"\n")
        for line in filter(None, whole):
            told = _line(line)
            yield told.part or self._read(line)

    def end(self) -> None:
        """Raise UnknownOutcome when the stream ended within a row."""
        if self._left:
            raise UnknownOutcome("the list broke off")


_line = msgspec.json.Decoder(_Line).decode


@cache
def reader(collection: str) -> Callable[[msgspec.Raw | bytes], Listed[Any]]:
    """Return what reads the JSON of a thing, with the member `account`."""
    thing = msgspec.json.Decoder(LISTS[collection].answer_type).decode

    def read(body: msgspec.Raw | bytes) -> Listed[Any]:
        return Listed(_line(body).account, thing(body))

    return read
