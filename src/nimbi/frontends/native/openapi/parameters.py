"""What an operation takes outside of its body, as parameters of OpenAPI."""

import re
from collections.abc import Iterator

from nimbi.api.routes import Value
from nimbi.frontends.native.openapi import common
from nimbi.frontends.native.openapi.naming import is_over_all
from nimbi.frontends.native.openapi.schemas import TEXT, Json, Schemas
from nimbi.frontends.native.route import Route


def parameters(route: Route, schemas: Schemas) -> Iterator[Json]:
    of_api = {value.name: value for value in route.api.path} if route.api is not None else {}
    for name in re.findall(r"\{(\w+)\}", route.template):
        schema = schemas.of_value(of_api[name]) if name in of_api else TEXT
        if schema == TEXT:
            schema = TEXT | {"minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    yield from _query(route, schemas)
    yield from _headers(route)


def _query(route: Route, schemas: Schemas) -> Iterator[Json]:
    own = {value.name: value for value in route.api.query} if route.api is not None else {}
    if is_over_all(route):
        own = {}
    for name, value in own.items():
        yield _own_parameter(name, value, schemas)
    for name in sorted(route.query):
        bare = name.removesuffix(".*")
        if bare in own:
            continue
        schema, text = common.COMMON.get(bare, (TEXT, "Only things that have this."))
        if bare == "deadline" and is_over_all(route):
            schema = common.LIST_SECONDS
        yield {"name": bare, "in": "query", "description": text} | _as_parameter(name, schema)


def _own_parameter(name: str, value: Value, schemas: Schemas) -> Json:
    schema = common.LIMIT if name == "limit" else schemas.of_value(value)
    told = {"name": name, "in": "query", "description": value.text, "required": value.is_required}
    return told | _as_parameter(name + ".*" if value.is_mapping else name, schema)


def _as_parameter(name: str, schema: Json) -> Json:
    """Return how a parameter is written; a family of them is `tags[owner]=ann`."""
    if not name.endswith(".*"):
        return {"schema": schema}
    family = {"type": "object", "additionalProperties": True}
    return {"style": "deepObject", "explode": True, "schema": family}


def _headers(route: Route) -> Iterator[Json]:
    names = list(route.headers)
    if route.key != "none":
        names.append("Idempotency-Key")
    if route.method == "GET" and route.api is not None:
        names.append("If-None-Match")
    if route.api is not None:
        names += [value.name for value in route.api.headers]
    for name in dict.fromkeys(names):
        # What HTTP itself gives a place is no parameter (OpenAPI 3.1, section 4.8.12.1), and a
        # family of headers has none.
        if name in common.HEADERS:
            schema, text = common.HEADERS[name]
            yield {"name": name, "in": "header", "description": text, "schema": schema}
