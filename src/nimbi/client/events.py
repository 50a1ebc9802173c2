"""Changes as the server tells them, from a stream that goes on where it broke off."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

import msgspec

from nimbi.api.routes import LISTS
from nimbi.client.answers import decoded
from nimbi.client.core import Blocking, Core, Looping, call
from nimbi.client.flow import Flow, Pause, Received
from nimbi.client.requests import with_query
from nimbi.client.running import arun, run
from nimbi.client.transport import Answer, AsyncAnswer, Request
from nimbi.model.accounts import Account
from nimbi.model.errors import CloudError, CloudUnavailable, Timeout, UnknownOutcome
from nimbi.model.inventory import Event

PLACE = "/v1/events"
STREAM = "text/event-stream"

# The server says something every 15 seconds; who hears nothing for so long has lost it.
SILENCE_S = 45.0

# How long to wait before coming again, until the server says how long.
AGAIN_S = 2.0

LOST = (CloudUnavailable, Timeout, UnknownOutcome)


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events in their order. `next` is the `after` of the next page."""

    items: tuple[Event, ...]
    next: int


class _Page(msgspec.Struct, frozen=True):
    items: tuple[msgspec.Raw, ...]
    next: int


class EventLines:
    """Events out of the bytes of a stream.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self, after: int | None) -> None:
        self.last = after
        self.again_s = AGAIN_S
        self._left = b""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that end in a chunk."""
        *whole, self._left = (self._left + chunk).split(b"\n\n")
        for block in whole:
            fields = dict(_fields(block))
            if fields.get(b"retry", b"").isdigit():
                self.again_s = int(fields[b"retry"]) / 1000
            if b"data" in fields:
                event = _event(fields[b"data"])
                self.last = event.id
                yield event

    def lost(self) -> None:
        """Drop what came of an event whose end did not come."""
        self._left = b""


def _fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name:
            yield name, value.removeprefix(b" ")


# As it travels: a type may be raw JSON, but not raw JSON or nothing.
_ToldEvent = msgspec.defstruct(
    "_ToldEvent",
    [
        (f.name, msgspec.Raw, msgspec.Raw())
        if f.name == "body"
        else (f.name, f.type, msgspec.NODEFAULT if f.required else f.default)
        for f in msgspec.structs.fields(Event)
    ],
    kw_only=True,
)
_told_event = msgspec.json.Decoder(_ToldEvent).decode
NO_BODY = frozenset({b"", b"null"})


def _event(told: bytes | msgspec.Raw) -> Event:
    try:
        found = msgspec.structs.asdict(_told_event(told))
    except msgspec.DecodeError as error:
        raise CloudError(f"the server tells no event of the API: {error}") from error
    body = found.pop("body")
    return Event(**found, body=None if bytes(body) in NO_BODY else body)


def thing_of(event: Event) -> Any:
    """Return the thing as it is after a change, an Instance for one; None when it vanished.

    It is raw JSON as Python has it when this client does not know the collection.
    """
    if event.body is None:
        return None
    known = LISTS.get(event.collection)
    kind = Account if event.collection == "accounts" else known.answer_type if known else Any
    return msgspec.json.decode(event.body, type=kind)


Names = str | Sequence[str] | None


class _Events:
    core: Core

    @call
    def page(
        self,
        after: int = 0,
        *,
        limit: int = 100,
        account: Names = None,
        collection: Names = None,
    ) -> Flow[EventPage]:
        """Return events after one, in their order, at once."""
        pairs = [("after", str(after)), ("limit", str(limit)), *_named(account, collection)]
        received = yield from self.core.exchange("GET", with_query(PLACE, pairs))
        page: _Page = decoded(received, _Page)
        return EventPage(items=tuple(map(_event, page.items)), next=page.next)

    def _opened(
        self, lines: EventLines, again: bool, pairs: list[tuple[str, str]]
    ) -> Flow[Received]:
        if again:
            lines.lost()
            yield Pause(lines.again_s)
        headers = {"Accept": STREAM}
        if lines.last is not None:
            headers["Last-Event-ID"] = str(lines.last)
        request = Request("GET", with_query(PLACE, pairs), headers, timeout_s=SILENCE_S)
        received: Received = yield from self.core.ask(request, open=True)
        return received


class Events(_Events, Looping):
    """What changed; `follow` tells it as it happens."""

    async def follow(
        self, after: int | None = None, *, account: Names = None, collection: Names = None
    ) -> AsyncIterator[Event]:
        """Yield changes for ever, those after `after` or from now on, each once.

        A connection that breaks is made anew, from the last event. Raises what the server answers:
        Unauthorized when the token has ended, CloudUnavailable when there is no server any more.
        """
        lines = EventLines(after)
        pairs = _named(account, collection)
        again = False
        while True:
            received = await arun(self._opened(lines, again, pairs), self.transport)
            answer = cast("AsyncAnswer", received.open)
            again = True
            try:
                async for chunk in answer.chunks():
                    for event in lines.feed(chunk):
                        yield event
            except LOST:
                continue
            finally:
                await answer.aclose()


class SyncEvents(_Events, Blocking):
    """What changed; `follow` tells it as it happens."""

    def follow(
        self, after: int | None = None, *, account: Names = None, collection: Names = None
    ) -> Iterator[Event]:
        """Yield changes for ever, as Events.follow."""
        lines = EventLines(after)
        pairs = _named(account, collection)
        again = False
        while True:
            received = run(self._opened(lines, again, pairs), self.transport)
            answer = cast("Answer", received.open)
            again = True
            try:
                for chunk in answer.chunks():
                    yield from lines.feed(chunk)
            except LOST:
                continue
            finally:
                answer.close()


def _named(account: Names, collection: Names) -> list[tuple[str, str]]:
    return [
        (name, text)
        for name, told in (("account", account), ("collection", collection))
        for text in ([told] if isinstance(told, str) else told or ())
    ]
