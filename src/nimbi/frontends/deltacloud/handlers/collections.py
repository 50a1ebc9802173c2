"""What every collection can do: list, show, destroy."""

from collections.abc import Awaitable, Sequence
from time import perf_counter
from typing import Any, TypeVar

import msgspec

from nimbi.driver.capabilities import Function
from nimbi.frontends.deltacloud.answers import gone, listed, shown
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.frontends.deltacloud.route import Handler
from nimbi.model.errors import CloudError
from nimbi.model.page import Page

T = TypeVar("T")

PAGE_SIZE = 1000


async def everything(
    exchange: Exchange, page: Function, *args: Any, where: msgspec.Struct | None = None
) -> Sequence[Any]:
    """Return all items of a list: this API knows no pages."""
    call = exchange.cloud.call
    named = {} if where is None else {"where": where}
    first: Page[Any] = await call(page, *args, None, PAGE_SIZE, **named)
    if first.next is None:
        return first.items
    items = list(first.items)
    seen = {first.next}
    marker: str | None = first.next
    while marker is not None:
        more: Page[Any] = await call(page, *args, marker, PAGE_SIZE, **named)
        items += more.items
        marker = more.next
        if marker in seen:
            raise CloudError("the cloud gave the same marker twice, so the list has no end")
        if marker is not None:
            seen.add(marker)
    return items


async def timed(exchange: Exchange, call: Awaitable[T]) -> T:
    """Return the answer of a call, its time put on the exchange for X-Backend-Runtime."""
    began = perf_counter()
    try:
        return await call
    finally:
        exchange.runtime_s = perf_counter() - began


def index(name: str) -> Handler:
    """Return the handler that lists a collection, filtered by `id` and, if told, by `state`."""
    kind = KINDS[name]

    async def handler(exchange: Exchange) -> Reply:
        items = await timed(exchange, everything(exchange, kind.page))
        return listed(exchange, kind, with_state(exchange, with_id(exchange, items)))

    return handler


def show(name: str) -> Handler:
    kind = KINDS[name]

    async def handler(exchange: Exchange) -> Reply:
        item = await timed(exchange, exchange.cloud.call(kind.get, exchange.arguments["id"]))
        return shown(exchange, kind, item)

    return handler


def destroy(name: str, operation: Function) -> Handler:
    async def handler(exchange: Exchange) -> Reply:
        await exchange.cloud.call(operation, exchange.arguments["id"])
        return gone(exchange, f"/{name}")

    return handler


def with_id(exchange: Exchange, items: Sequence[Any]) -> Sequence[Any]:
    """Return the items that the parameter `id` leaves."""
    id = exchange.parameters.line("id")
    return items if id is None else [item for item in items if item.id == id]


def with_state(exchange: Exchange, items: Sequence[Any]) -> Sequence[Any]:
    """Return the items that the parameter `state` leaves, in whatever case it is written."""
    state = exchange.parameters.line("state")
    return items if state is None else [item for item in items if item.state == state.lower()]
