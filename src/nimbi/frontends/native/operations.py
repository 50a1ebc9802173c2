"""One account's operations: a route for each, made of the operations themselves."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from nimbi.api.requests import path_of
from nimbi.api.routes import DEFAULT_LIMIT, ONE_ACCOUNT, ApiRoute
from nimbi.api.routes import ROUTES as API_ROUTES
from nimbi.frontends.native import intake
from nimbi.frontends.native.answer import Answer, Headers, header, json_answer, nothing
from nimbi.frontends.native.consoles import open_console
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import precondition_failed
from nimbi.frontends.native.route import Handler, Key, Route
from nimbi.frontends.native.things import (
    Pages,
    shown,
    tag_of,
    thing_answer,
    things_answer,
    with_login,
)
from nimbi.gateway.settling import settled
from nimbi.model.errors import CloudError, Timeout
from nimbi.wire.conditions import matches

LONGEST_WAIT_S = 600

# What is told of an operation whose contract has no words of its own.
TEXTS: Mapping[str, str] = {
    "page": "Return a page of {things}, as the cloud lists them now.",
    "get": "Return one of the {things}.",
    "create": "Make one of the {things}.",
    "destroy": "Destroy one of the {things}.",
    "set_metadata": "Replace all metadata.",
}


def routes(streams: Mapping[str, Handler]) -> Iterator[Route]:
    """Yield the routes of all operations; `streams` handle those that move bytes."""
    pages = Pages()
    for api in API_ROUTES.values():
        yield Route(
            api.method,
            ONE_ACCOUNT + api.template,
            streams.get(api.id) or _handler(api, pages),
            api.id,
            _query(api),
            opens_cloud=True,
            key=_key(api),
            api=api,
            text=text_of(api),
            status=api.status,
        )


def text_of(api: ApiRoute) -> str:
    """Return a line about an operation, for people."""
    things = api.collection.replace("_", " ")
    return api.operation.text or TEXTS.get(api.name, "{name} one of the {things}.").format(
        things=things, name=api.name.capitalize()
    )


def has_state(api: ApiRoute) -> bool:
    """Return whether the things of a route's collection have a state to wait for."""
    get = API_ROUTES.get(f"{api.collection}.get")
    return get is not None and "state" in get.answer_type.__struct_fields__


def can_wait(api: ApiRoute) -> bool:
    """Return whether an operation may leave a thing on its way to another state."""
    if api.operation.is_safe or api.body == "stream" or not has_state(api):
        return False
    return api.answer in {"none", "thing"} and api.name != "run"


def _query(api: ApiRoute) -> frozenset[str]:
    names = {f"{value.name}.*" if value.is_mapping else value.name for value in api.query}
    if api.body != "stream" and not api.operation.is_safe:
        names.add("dry_run")
    if can_wait(api):
        names.add("wait")
    return frozenset({*names, "deadline"})


def _key(api: ApiRoute) -> Key:
    if api.method != "POST":
        return "none"
    # A console's address is good for one use and some seconds: it is never given twice.
    if api.answer == "console":
        return "none"
    return "head" if api.body == "stream" else "whole"


def _handler(api: ApiRoute, pages: Pages) -> Handler:
    if api.answer == "console":
        return open_console
    if api.answer == "page":
        return partial(_page, api, pages)
    return partial(_read if api.operation.is_safe else _change, api)


async def _page(api: ApiRoute, pages: Pages, exchange: Exchange) -> Answer:
    if exchange.query or api.path:
        given = await intake.arguments(api, exchange)
        page = await exchange.cloud.call(api.operation.function, *_in_order(api, given))
    else:
        page = await exchange.cloud.call(api.operation.function, None, DEFAULT_LIMIT)
    return pages.answer(exchange, api, page)


async def _read(api: ApiRoute, exchange: Exchange) -> Answer:
    given = await intake.arguments(api, exchange)
    answer = await exchange.cloud.call(api.operation.function, *_in_order(api, given))
    return _written(api, exchange, answer)


async def _change(api: ApiRoute, exchange: Exchange) -> Answer:
    """Carry an operation out, or only check it; wait for its end when asked to."""
    given = await intake.arguments(api, exchange)
    wait_s = exchange.number("wait", 0, 0, LONGEST_WAIT_S)
    arguments = _in_order(api, given)
    await _check_tag(api, exchange, given)
    if exchange.flag("dry_run"):
        await exchange.cloud.rehearse(api.operation.function, *arguments)
        told = {"dry_run": True, "operation": api.id, "account": exchange.arguments["account"]}
        return json_answer(told)
    answer = await exchange.cloud.call(api.operation.function, *arguments)
    if wait_s:
        return await _waited(api, exchange, given, answer, wait_s)
    return _written(api, exchange, answer)


def _in_order(api: ApiRoute, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return arguments as the operation takes them; those at the end that are not told are left."""
    last = max((at for at, a in enumerate(api.arguments) if a.name in given), default=-1)
    return tuple(given.get(a.name, a.default) for a in api.arguments[: last + 1])


def _written(api: ApiRoute, exchange: Exchange, answer: Any, status: int | None = None) -> Answer:
    status = api.status if status is None else status
    match api.answer:
        case "none":
            return nothing()
        case "bytes":
            media_type = api.media_type
            if media_type.startswith("text/"):
                media_type += "; charset=utf-8"
            return Answer(200, answer, media_type, ((b"cache-control", b"no-store"),))
        case "text":
            return json_answer({"text": answer})
        case "things":
            return things_answer(exchange, answer, status, secrets=not api.operation.is_safe)
        case _:
            headers = _location(api, exchange, answer)
            secrets = not api.operation.is_safe
            return thing_answer(exchange, answer, status, headers, secrets=secrets)


def _location(api: ApiRoute, exchange: Exchange, thing: Any) -> Headers:
    """Return where a thing just made is."""
    if api.name not in {"create", "upload"}:
        return ()
    get = API_ROUTES[f"{api.collection}.get"]
    return (header("location", path_of(get, exchange.arguments["account"], {"id": thing.id})),)


async def _check_tag(api: ApiRoute, exchange: Exchange, given: Mapping[str, Any]) -> None:
    """Raise Problem when the thing is not the one that If-Match knows."""
    told = exchange.headers.get(b"if-match")
    if told is None:
        return
    thing = await _fetched(api, exchange, given)
    account = exchange.arguments["account"]
    tag = None if thing is None else tag_of(msgspec.json.encode(shown(account, thing)))
    if not matches(told, tag):
        raise precondition_failed("the thing has another ETag than If-Match tells")


async def _fetched(api: ApiRoute, exchange: Exchange, given: Mapping[str, Any]) -> Any:
    """Return the thing that an operation is about, None when it is about none that can be read."""
    get = API_ROUTES.get(f"{api.collection}.get")
    if get is None or any(argument.name not in given for argument in get.arguments):
        return None
    arguments = (given[argument.name] for argument in get.arguments)
    return await exchange.cloud.call(get.operation.function, *arguments)


async def _waited(
    api: ApiRoute, exchange: Exchange, given: Mapping[str, Any], answer: Any, wait_s: int
) -> Answer:
    """Answer with the thing once it rests: 202, and the thing as it is, when that takes longer."""
    get = API_ROUTES[f"{api.collection}.get"].operation.function
    id: str = given.get("id") or answer.id
    began = asyncio.get_running_loop().time()
    account, status = exchange.arguments["account"], api.status
    try:
        thing = await settled(exchange.cloud, get, (id,), api.name, wait_s)
    except Timeout:
        if asyncio.get_running_loop().time() - began < wait_s:
            raise
        status = 202
        thing = await _as_it_is(exchange, get, id)
    if thing is None:
        return Answer(202, b"", None) if status == 202 else nothing()
    await exchange.broker.inventory.changed(account, f"{api.collection}.get", (id,), thing)
    if status == 204:
        status = 200
    headers = _location(api, exchange, thing)
    return thing_answer(exchange, with_login(thing, answer), status, headers, secrets=True)


async def _as_it_is(exchange: Exchange, get: Any, id: str) -> Any | None:
    try:
        return await exchange.cloud.call(get, id)
    except CloudError:
        return None
