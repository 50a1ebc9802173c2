"""The audit over HTTP: pages, a stream, an export, and whether it is as it was written."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nimbi.broker.access import check
from nimbi.broker.audit import cloud_event
from nimbi.frontends.native.answer import Answer, encode, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.login import caller_of
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.audit import AuditEntry, AuditFilter, AuditPage, AuditReport
from nimbi.model.errors import CloudError, Invalid

PLACE = "/v1/audit"
STREAM = "text/event-stream"
LINES = "application/x-ndjson"
FORMS = ("json", "cloudevents")

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
GREATEST = 2**63 - 1
RETRY_MS = 2000
HEARTBEAT_S = 15.0
BEAT = b": nothing new\n\n"
# Bytes of an export that are sent at once.
CHUNK_BYTES = 64 * 1024

# Nobody removes by hand what happened only just now.
SHORTEST_AGE = timedelta(days=30)

EQUALS = ("user", "tenant", "account", "operation", "thing", "result", "request_id")
FILTERS = frozenset({*EQUALS, "since", "until", "all"})


class Prune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Remove what is older than a time that is 30 days ago at least."""

    before: datetime


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries were removed."""

    removed: int


async def read(exchange: Exchange) -> Answer:
    """Answer with entries, at once as JSON, or for ever as server-sent events."""
    if STREAM.encode() in exchange.headers.get(b"accept", b""):
        return await _stream(exchange)
    limit = exchange.number("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    after, before = _number(exchange, "after"), _number(exchange, "before")
    if after is not None and before is not None:
        raise bad_request("a page is after an entry or before one")
    found = await exchange.broker.audit.page(
        wished(exchange), after=after, before=before, limit=limit
    )
    last = found[-1].seq if found else (after if after is not None else before) or 0
    return json_answer(AuditPage(items=found, next=last))


async def export(exchange: Exchange) -> Answer:
    """Answer with all entries as lines, the oldest first."""
    form = exchange.query.get("form", FORMS[0])
    if form not in FORMS:
        raise bad_request(f"form is one of {', '.join(FORMS)}")
    entries = exchange.broker.audit.each(wished(exchange), _number(exchange, "after") or 0)
    return Answer(200, b"", LINES, chunks=_exported(entries, form))


async def verify(exchange: Exchange) -> Answer:
    """Answer with what a verification found."""
    return json_answer(await exchange.broker.audit.verify(exchange.query.get("expect")))


async def prune(exchange: Exchange) -> Answer:
    """Remove old entries."""
    told = await exchange.decoded(Prune)
    if told.before.tzinfo is None or told.before > datetime.now(UTC) - SHORTEST_AGE:
        raise Invalid(f"before is a time {SHORTEST_AGE.days} days ago or more, with a time zone")
    return json_answer(Pruned(removed=await exchange.broker.audit.prune(told.before)))


def wished(exchange: Exchange) -> AuditFilter:
    """Return the filter of a query, within what the caller's tenant may see."""
    told: dict[str, Any] = {name: exchange.query.get(name) for name in EQUALS}
    return AuditFilter(
        since=exchange.moment("since"),
        until=exchange.moment("until"),
        all_phases=exchange.flag("all"),
        below=exchange.caller.path,
        **told,
    )


async def _stream(exchange: Exchange) -> Answer:
    if "limit" in exchange.query or "before" in exchange.query:
        raise bad_request("a stream of entries has no limit, and goes forward")
    audit, told = exchange.broker.audit, exchange.headers.get(b"last-event-id")
    after = _number(exchange, "after")
    if told is not None:
        after = _whole(told.decode("latin-1"), "Last-Event-ID")
    if after is None:
        after = await audit.newest()
    followed = audit.follow(wished(exchange), after, heartbeat_s=HEARTBEAT_S)
    headers = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))
    return Answer(200, b"", STREAM, headers, chunks=_lines(exchange, after, followed))


async def _lines(
    exchange: Exchange, after: int, entries: AsyncGenerator[AuditEntry | None]
) -> AsyncIterator[bytes]:
    now = asyncio.get_running_loop().time
    beat_at = now() + HEARTBEAT_S
    yield b"id: %d\nretry: %d\n\n" % (after, RETRY_MS)
    async with aclosing(entries):
        async for entry in entries:
            if entry is None or now() >= beat_at:
                if not await _may_still(exchange):
                    return
                beat_at = now() + HEARTBEAT_S
                yield BEAT
            if entry is not None:
                told = (entry.seq, entry.phase.encode(), encode(entry))
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % told


async def _may_still(exchange: Exchange) -> bool:
    """Return whether the caller may still read as it could at first."""
    path = exchange.caller.path
    try:
        exchange.caller = await caller_of(exchange)
        check(exchange.caller, "audit.page", None)
    except CloudError:
        return False
    return exchange.caller.path == path


async def _exported(entries: AsyncGenerator[AuditEntry], form: str) -> AsyncIterator[bytes]:
    chunk = bytearray()
    async with aclosing(entries):
        async for entry in entries:
            chunk += encode(entry if form == "json" else cloud_event(entry)) + b"\n"
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
    yield bytes(chunk)


def _number(exchange: Exchange, name: str) -> int | None:
    return _whole(exchange.query[name], name) if name in exchange.query else None


def _whole(told: str, name: str) -> int:
    if not (told.isascii() and told.isdigit() and len(told) <= len(str(GREATEST))):
        raise bad_request(f"{name} is the number of an entry")
    return min(int(told), GREATEST)


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        read,
        "audit.page",
        FILTERS | {"after", "before", "limit"},
        text="Return who did what, the newest first, or after an entry; as events it is followed.",
        gives=AuditPage,
        media_types=(STREAM,),
        headers=("Last-Event-ID",),
    ),
    Route(
        "GET",
        PLACE + "/export",
        export,
        "audit.export",
        FILTERS | {"after", "form"},
        text="Return all entries as lines of JSON, or of CloudEvents 1.0, the oldest first.",
        media_types=(LINES,),
    ),
    Route(
        "GET",
        PLACE + "/verify",
        verify,
        "audit.verify",
        frozenset({"expect"}),
        text="Say whether all entries are as they were written, and which are not.",
        gives=AuditReport,
    ),
    Route(
        "POST",
        PLACE + "/prune",
        prune,
        "audit.prune",
        text="Remove entries that are older than a time; the rest stays verifiable.",
        takes=Prune,
        gives=Pruned,
    ),
)
