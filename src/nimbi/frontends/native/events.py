"""Changes as they happen: a stream for those who listen, pages for those who ask."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec

from nimbi.driver.capabilities import INTERFACES
from nimbi.frontends.native.answer import Answer, encode, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.login import caller_of
from nimbi.frontends.native.names import names
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.errors import CloudError, Conflict, Invalid
from nimbi.model.inventory import Event

STREAM = "text/event-stream"

# How long a client that lost its connection is to wait before it comes again, in milliseconds.
RETRY_MS = 2000
# Proxies close a connection on which nothing moves, often after a minute.
HEARTBEAT_S = 15.0

LARGEST_ID = 2**63 - 1
DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000

# Of what there are events: things of clouds, the health of accounts, alerts, budgets and jobs.
OWN = ("accounts", "alerts", "budgets", "jobs")
COLLECTIONS = frozenset({*OWN, *(interface.name for interface in INTERFACES)})

BEAT = b": nothing new\n\n"

HEADERS = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events in their order. `next` is the `after` of the next page."""

    items: tuple[Event, ...]
    next: int


async def read(exchange: Exchange) -> Answer:
    """Answer with events after one, at once as JSON, or for ever as server-sent events."""
    if STREAM.encode() in exchange.headers.get(b"accept", b""):
        return await _stream(exchange)
    return await _page(exchange)


async def _page(exchange: Exchange) -> Answer:
    after = _seen_last(exchange) or 0
    limit = exchange.number("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    found = await exchange.broker.events.after(
        after, limit, accounts=names(exchange, "account"), collections=_collections(exchange)
    )
    last = found[-1].id if found else after
    seen = await exchange.broker.visibility.shown(exchange.caller, found)
    return json_answer(EventPage(items=seen, next=last))


async def _stream(exchange: Exchange) -> Answer:
    if "limit" in exchange.query:
        raise bad_request("a stream of events has no limit")
    after = _seen_last(exchange)
    newest = await exchange.broker.events.newest()
    if after is None:
        after = newest
    # Where the client has to list anew, the status must say so.
    await exchange.broker.events.after(after, 1)
    if after > newest:
        raise Conflict("there was no such event yet: list anew, and begin without it")
    events = exchange.broker.events.follow(
        after,
        accounts=names(exchange, "account"),
        collections=_collections(exchange),
        heartbeat_s=HEARTBEAT_S,
    )
    return Answer(200, b"", STREAM, HEADERS, chunks=_lines(exchange, after, events))


def _collections(exchange: Exchange) -> tuple[str, ...] | None:
    """Return the collections that are asked for. Raises Invalid for one that there is not."""
    found = names(exchange, "collection")
    for name in found or ():
        if name not in COLLECTIONS:
            raise Invalid(f"there is no collection {name[:60]!r}")
    return found


def _seen_last(exchange: Exchange) -> int | None:
    """Return the last event that the client has; its header wins, since browsers repeat the URL."""
    after = exchange.number("after", 0, 0, LARGEST_ID) if "after" in exchange.query else None
    told = exchange.headers.get(b"last-event-id")
    if told is None:
        return after
    if not (told.isdigit() and len(told) <= len(str(LARGEST_ID)) and int(told) <= LARGEST_ID):
        raise bad_request("Last-Event-ID is none that this server gave")
    return int(told)


async def _lines(
    exchange: Exchange, after: int, events: AsyncGenerator[Event | None]
) -> AsyncIterator[bytes]:
    """Yield events as https://html.spec.whatwg.org/multipage/server-sent-events.html has them."""
    now = asyncio.get_running_loop().time
    beat_at = now() + HEARTBEAT_S
    # So that a client that loses its connection before any event knows where to go on.
    yield b"id: %d\nretry: %d\n\n" % (after, RETRY_MS)
    async with aclosing(events):
        async for event in events:
            if event is None or now() >= beat_at:
                if not await _still_known(exchange):
                    return
                beat_at = now() + HEARTBEAT_S
                yield BEAT
            if event is not None and await exchange.broker.visibility.shown(
                exchange.caller, [event]
            ):
                told = (event.id, event.kind.encode(), encode(event))
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % told


async def _still_known(exchange: Exchange) -> bool:
    """Return whether the token still holds; a stream outlives none that was revoked or is over."""
    try:
        exchange.caller = await caller_of(exchange)
    except CloudError:
        return False
    return True


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/events",
        read,
        None,
        frozenset({"after", "limit", "account", "collection"}),
        text="Return what changed, or with Accept: text/event-stream tell it as it happens.",
        gives=EventPage,
        media_types=(STREAM,),
        headers=("Last-Event-ID",),
    ),
)
