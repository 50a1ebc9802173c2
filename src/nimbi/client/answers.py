"""Answers of operations as what the interfaces of drivers return."""

from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from nimbi.api.routes import ApiRoute
from nimbi.client.flow import Received
from nimbi.model.buckets import BlobPage
from nimbi.model.errors import CloudError, NotFound, Timeout
from nimbi.model.page import Page

T = TypeVar("T")

ACCEPTED = 202


class Items(msgspec.Struct, Generic[T], frozen=True):
    """`{"items": […]}`, and what stands beside in pages."""

    items: tuple[T, ...]
    next: str | None = None
    prefixes: tuple[str, ...] | None = None


class _Text(msgspec.Struct, frozen=True):
    text: str


def value_of(route: ApiRoute, received: Received) -> Any:
    """Return what the operation returns.

    Raises Timeout when it goes on after the wait that was wished for and the answer shows no state,
    NotFound when what was made is gone again, CloudError for an answer that is not of the API.
    """
    if route.answer == "none":
        if received.status == ACCEPTED:
            raise Timeout(f"{route.id} goes on")
        return None
    if not received.body and route.answer != "bytes":
        raise NotFound(f"{route.id} left nothing")
    if route.answer == "bytes":
        return received.body
    if route.answer == "text":
        return decoded(received, _Text).text
    if route.answer == "console":
        # Its library takes a while to load.
        from nimbi.client.consoles import ConsoleTicket

        return decoded(received, ConsoleTicket)
    if route.answer == "thing":
        return decoded(received, route.answer_type)
    return _list_of(route, received)


def _list_of(route: ApiRoute, received: Received) -> Any:
    found: Items[Any] = decoded(received, Items[route.answer_type])  # type: ignore[name-defined]
    if route.answer == "things":
        return found.items
    if route.id == "blobs.page":
        return BlobPage(found.items, found.next, found.prefixes or ())
    return Page(found.items, found.next)


def decoded(received: Received, kind: Any) -> Any:
    """Return a JSON answer as a type. Raises CloudError for any other answer."""
    try:
        return _decoder(kind).decode(received.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = CloudError(f"the server's answer is not of the API: {error}")
        fault.request_id = received.headers.get("x-request-id")
        raise fault from error


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
