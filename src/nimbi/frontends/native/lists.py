"""Lists over all accounts: a page of JSON, or lines as the clouds answer."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import get_type_hints

from nimbi.api.requests import list_path
from nimbi.api.routes import LISTS, ApiRoute
from nimbi.broker.access import check, may
from nimbi.broker.inventory.wishes import (
    DEADLINE_S,
    EQUALS,
    LARGEST_LIMIT,
    LONGEST_DEADLINE_S,
    PREFIX,
    TAG,
    Row,
    Wish,
)
from nimbi.frontends.native.answer import JSON, Answer, encode
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.names import names
from nimbi.frontends.native.problems import Problem, bad_request
from nimbi.frontends.native.route import Route
from nimbi.frontends.native.things import tag_of
from nimbi.model.accounts import Part
from nimbi.model.errors import Forbidden
from nimbi.wire.negotiation import Format, choose

LINES = "application/x-ndjson"
FORMS = (Format("json", (JSON,)), Format("lines", (LINES,)))
ANY = ("json", "lines")

# What every list takes; the filters depend on what the things have.
COMMON = frozenset({"account", "sort", "limit", "marker", "fresh", "deadline"})

TAGS = "tags."

MOST_LINES = 1_000_000


def routes() -> Iterator[Route]:
    """Yield the route of each list."""
    for collection, api in LISTS.items():
        yield Route(
            "GET",
            list_path(collection),
            partial(listed, api),
            None,
            COMMON | filters_of(api),
            api=api,
            text=f"Return the {collection.replace('_', ' ')} of all accounts, or of those named.",
        )


def filters_of(api: ApiRoute) -> frozenset[str]:
    """Return the names of the filters that a list takes."""
    fields = get_type_hints(api.answer_type)
    found = {name for name in EQUALS if name in fields}
    if "name" in fields:
        found.add(PREFIX)
    if "tags" in fields:
        found.add(TAGS + "*")
    return frozenset(found)


async def listed(api: ApiRoute, exchange: Exchange) -> Answer:
    """Answer with what several accounts hold, and what each of them gave.

    A cloud that fails makes its part less than whole, never the answer.
    """
    form = _form(exchange)
    wish = await _wish(api, exchange, is_stream=form == LINES)
    inventory = exchange.broker.inventory
    if form == LINES:
        # What is wrong with the wish is told before the answer begins.
        rows = inventory.stream(wish)
        first = await anext(rows, None)
        return Answer(200, b"", LINES, chunks=_Lines(first, rows))
    listing = await inventory.list(wish)
    body = encode({"items": listing.items, "next": listing.next, "accounts": listing.parts})
    return Answer(200, body, JSON, (), tag_of(encode(listing.items)))


class _Lines:
    """A thing on each line, and `{"part": …}` when an account is through.

    No generator, since one that nobody has begun to read would not close what it reads from.
    """

    def __init__(self, first: Row | Part | None, rows: AsyncIterator[Row | Part]) -> None:
        self._first = first
        self._rows = rows

    def __aiter__(self) -> "_Lines":
        return self

    async def __anext__(self) -> bytes:
        first, self._first = self._first, None
        row = first if first is not None else await anext(self._rows)
        if isinstance(row, Row):
            return bytes(row.body) + b"\n"
        return b'{"part":' + encode(row) + b"}\n"

    async def aclose(self) -> None:
        """Ask the clouds no more."""
        close = getattr(self._rows, "aclose", None)
        if close is not None:
            await close()


async def _wish(api: ApiRoute, exchange: Exchange, *, is_stream: bool) -> Wish:
    query = exchange.query
    limit = None
    if "limit" in query:
        limit = exchange.number("limit", 0, 1, MOST_LINES if is_stream else LARGEST_LIMIT)
    if query.get("sort") == "":
        raise bad_request("sort is a name, or is not told")
    if is_stream and "marker" in query:
        raise bad_request("a stream takes no marker")
    deadline_s = DEADLINE_S
    if "deadline" in query:
        deadline_s = exchange.number("deadline", 1, 1, int(LONGEST_DEADLINE_S))
    filters = {name: query[name] for name in (*EQUALS, PREFIX) if name in query}
    for name, value in query.items():
        if name.startswith(TAGS):
            filters[TAG + name.removeprefix(TAGS)] = value
    return Wish(
        collection=api.collection,
        accounts=await _accounts(api, exchange),
        filters=filters,
        sort=query.get("sort"),
        limit=limit,
        marker=query.get("marker"),
        fresh=exchange.flag("fresh"),
        deadline_s=deadline_s,
        caller=exchange.caller,
    )


async def _accounts(api: ApiRoute, exchange: Exchange) -> tuple[str, ...] | None:
    """Return the accounts of the list: those that are named, else all that the caller may list.

    Raises Forbidden when one that is named may not be listed, or none at all.
    """
    caller = exchange.caller
    named = names(exchange, "account")
    if named is not None:
        for account in named:
            check(caller, api.id, account)
        return named
    # Who acts in the root domain sees all accounts, others those of their tenants.
    if caller.accounts is None and may(caller, api.id, None):
        return None
    known = await exchange.broker.accounts.all()
    seen = tuple(a.id for a in known if a.is_enabled and may(caller, api.id, a.id))
    if not seen:
        raise Forbidden(f"{caller.name} may not do {api.id} on any account")
    return seen


def _form(exchange: Exchange) -> str:
    """Return the media type of the answer. Raises Problem when none fits what Accept names."""
    accept = exchange.text_header(b"accept")
    found = FORMS[0] if accept is None else choose(accept, FORMS, ANY)
    if found is None:
        raise Problem("not_acceptable", f"a list is {JSON} or {LINES}")
    return found.media_types[0]
