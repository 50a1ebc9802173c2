"""What a call sends is what the server reads: for each operation, by the server's own reading."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
import pytest

from nimbi.api.routes import ROUTES, ApiRoute, without_none
from nimbi.client.requests import Wishes, bound, request_of
from nimbi.frontends.native import intake
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.routes import ROUTES as SERVED
from nimbi.frontends.native.tree import Tree
from nimbi.model.instances import NewInstance

SCALARS: Mapping[Any, Any] = {
    str: "ä/../%2F?&#+ x",
    int: 7,
    float: 1.5,
    bool: True,
    bytes: b"\x00\xff",
    dt.datetime: dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
}


def sample(hint: Any) -> Any:
    """Return a value of a type, with all that may be told told."""
    hint = without_none(hint)
    if get_origin(hint) is Annotated:
        return sample(get_args(hint)[0])
    if hint in SCALARS:
        return SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)[-1]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return sample_struct(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is tuple:
        return (sample(args[0]),)
    if origin is Mapping:
        return {"owner": "Ännchen"}
    return args[0] if origin is Literal else sample(args[0])


def sample_struct(kind: type[msgspec.Struct]) -> Any:
    hints = get_type_hints(kind)
    return kind(**{n: sample(hints[n]) for n in kind.__struct_fields__ if n not in UNTOLD})


# What the API does not carry as a field: it is made of a header, or is the cloud's own.
UNTOLD = {"token", "extra"}

CARRIED = [r for r in ROUTES.values() if r.body != "stream" and not r.headers]


async def read_back(route: ApiRoute, request: Any) -> dict[str, Any]:
    """Return the arguments as the server reads them."""
    path, _, query = request.target.partition("?")
    place = Tree(SERVED).find(request.method, path.encode())
    assert place.route.api is route
    headers = {n.lower().encode(): v.encode() for n, v in request.headers.items()}
    body = request.body or b""

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": request.method,
        "raw_path": path.encode(),
        "headers": [*headers.items(), (b"content-length", b"%d" % len(body))],
    }
    broker: Any = SimpleNamespace()
    exchange = Exchange(scope, receive, broker, 1 << 20, None)
    exchange.arguments = place.arguments
    exchange.query = dict(parse_qsl(query, keep_blank_values=True))
    return await intake.arguments(route, exchange)


@pytest.mark.parametrize("route", CARRIED, ids=lambda route: route.id)
async def test_the_server_reads_the_arguments_that_the_client_was_given(route: ApiRoute) -> None:
    given = {a.name: sample(a.type) for a in route.arguments}
    request = request_of(route, "aws", bound(route, (), given))
    found = await read_back(route, request)
    assert {name: found[name] for name in given} == given


@pytest.mark.parametrize("route", CARRIED, ids=lambda route: route.id)
async def test_what_is_not_told_is_as_by_default(route: ApiRoute) -> None:
    given = {a.name: _least(a.type) for a in route.arguments if a.is_required}
    request = request_of(route, "aws", bound(route, (), given))
    found = await read_back(route, request)
    assert {name: found[name] for name in given} == given
    assert all(
        found[a.name] == a.default for a in route.arguments if a.name in found and not a.is_required
    )


def _least(hint: Any) -> Any:
    kind = without_none(hint)
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return sample(hint)
    hints = get_type_hints(kind)
    return kind(
        **{f.name: sample(hints[f.name]) for f in msgspec.structs.fields(kind) if f.required}
    )


def test_every_post_has_a_key_and_a_given_one_is_kept() -> None:
    for route in ROUTES.values():
        given = {a.name: sample(a.type) for a in route.arguments if not _is_stream(a.type)}
        if route.method == "POST" and route.body != "stream":
            arguments = bound(route, (), given)
            made_up = [request_of(route, "a", arguments).headers["Idempotency-Key"] for _ in "12"]
            assert made_up[0] != made_up[1]
            told = request_of(route, "a", arguments, Wishes(key="mine"))
            assert told.headers["Idempotency-Key"] == "mine"


def _is_stream(hint: Any) -> bool:
    return get_origin(hint) is AsyncIterator


def test_arguments_that_do_not_fit_are_the_callers_mistake() -> None:
    route = ROUTES["instances.get"]
    for args, named in [((), {}), (("a", "b"), {}), (("a",), {"id": "b"}), ((), {"name": "a"})]:
        with pytest.raises(TypeError):
            bound(route, args, named)


def test_a_wish_for_something_new_keeps_its_token_out_of_the_body() -> None:
    route = ROUTES["instances.create"]
    new = NewInstance(image_id="i", token="mine")
    request = request_of(route, "a", bound(route, (new,), {}))
    assert request.body == b'{"image_id":"i"}'
    assert request.headers["Idempotency-Key"] == "mine"
