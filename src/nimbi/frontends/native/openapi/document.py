"""The API as an OpenAPI 3.1 document, made from its routes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nimbi.driver.capabilities import INTERFACES
from nimbi.frontends.native.openapi.answers import item_of, problem, responses, statuses
from nimbi.frontends.native.openapi.naming import GROUPS, group_of, operation_id
from nimbi.frontends.native.openapi.parameters import parameters
from nimbi.frontends.native.openapi.schemas import Json, Schemas
from nimbi.frontends.native.route import Route
from nimbi.model.accounts import Part

VERSION = "3.1.0"
API_VERSION = "1"

STREAM = "application/octet-stream"

ABOUT = """Many clouds, one API.

`/v1/accounts/{account}/…` has every operation of every collection, on one account;
`/v1/{collection}` lists what all accounts hold. What an account's cloud cannot do is 501.

Errors are problems (RFC 9457); programs act on their `code`. New members of answers, new
parameters and new paths may come within version 1; nothing is taken away or changes its meaning."""


def document(routes: Sequence[Route]) -> Json:
    """Return the document, without where the server is."""
    schemas = Schemas(_taken(routes), _given(routes))
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": VERSION,
        "info": {"title": "Nimbi", "version": API_VERSION, "description": ABOUT},
        "tags": list(_tags(routes)),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {str(status): problem(status) for status in statuses()},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token.",
                },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Any user, and an API token as password.",
                },
            },
        },
    }


def _tags(routes: Iterable[Route]) -> Iterator[Json]:
    texts = dict(GROUPS) | {i.name: (i.__doc__ or "").partition("\n")[0] for i in INTERFACES}
    for name in dict.fromkeys(group_of(route) for route in routes):
        yield {"name": name, "description": texts[name]}


def _taken(routes: Iterable[Route]) -> Iterator[Any]:
    for route in routes:
        if route.takes is not None:
            yield route.takes
        if route.api is not None:
            yield from (v.type for v in (*route.api.path, *route.api.query, *route.api.headers))
            yield from (argument.type for argument in route.api.inside)


def _given(routes: Iterable[Route]) -> Iterator[Any]:
    yield Part
    for route in routes:
        if route.gives is not None:
            yield item_of(route.gives)
        if route.api is not None and route.api.answer in {"page", "thing", "things"}:
            yield route.api.answer_type


def _operation(route: Route, schemas: Schemas) -> Json:
    told: Json = {
        "operationId": operation_id(route),
        "summary": route.text,
        "tags": [group_of(route)],
        "parameters": list(parameters(route, schemas)),
        "responses": dict(sorted(responses(route, schemas))),
        "security": [] if route.is_open else [{"token": []}, {"basic": []}],
    }
    body = _body(route, schemas)
    return told | {"requestBody": body} if body is not None else told


def _body(route: Route, schemas: Schemas) -> Json | None:
    if route.takes is not None:
        return _json(schemas.of(route.takes)) | {"required": True}
    if route.api is None or route.api.body == "none":
        return None
    if route.api.body == "stream":
        return {"required": True, "content": {STREAM: {}}}
    required = route.api.is_body_required
    return _json(schemas.of_body(route.api)) | {"required": required}


def _json(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}
