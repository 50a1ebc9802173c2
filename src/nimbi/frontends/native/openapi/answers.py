"""What an operation answers, as responses of OpenAPI."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from nimbi.api.routes import ROUTES, ApiRoute
from nimbi.frontends.native import problems
from nimbi.frontends.native.openapi.naming import is_over_all
from nimbi.frontends.native.openapi.schemas import PROBLEM, REF, TEXT, Json, Schemas
from nimbi.frontends.native.route import Route
from nimbi.model.accounts import Part

LINES = "application/x-ndjson"

STATUSES: Mapping[int, str] = {
    200: "The answer.",
    201: "What was made.",
    202: "It was begun, and is not settled yet.",
    204: "Done; there is nothing to tell.",
    206: "The part that was asked for.",
    303: "Where the browser is to go on, in Location.",
    304: "It is as the client knows it.",
}

# The answer to what was only tried.
DRY_RUN: Json = {
    "type": "object",
    "required": ["dry_run", "operation", "account"],
    "properties": {"dry_run": {"const": True}, "operation": TEXT, "account": TEXT},
}

CONSOLE: Json = {
    "type": "object",
    "required": ["account", "instance_id", "kind", "url", "token", "expires_at"],
    "properties": {
        "url": TEXT | {"description": "A WebSocket, for one use within a minute."},
        "expires_at": {"type": "string", "format": "date-time"},
    },
}

# What any cloud may answer, through any operation on it.
OF_CLOUD = frozenset({409, 422, 429, 501, 502, 503, 504})

# Parts of a query that name a thing, which may not be there.
NAMES = frozenset({"account", "group", "tenant", "user"})


def responses(route: Route, schemas: Schemas) -> Iterator[tuple[str, Json]]:
    """Yield all answers of an operation by their statuses."""
    for status in _successes(route):
        yield str(status), _success(route, status, schemas)
    for status in sorted(_failures(route)):
        yield str(status), {"$ref": f"#/components/responses/{status}"}


def _successes(route: Route) -> Iterator[int]:
    status = route.api.status if route.api is not None else route.status
    yield status
    if (route.method == "GET" and route.api is not None) or "If-None-Match" in route.headers:
        yield 304
        if route.api is not None and route.api.id == "blobs.read":
            yield 206
    if {"wait", "dry_run"} & route.query and status != 200:
        yield 200
    if "wait" in route.query:
        yield 202


def _success(route: Route, status: int, schemas: Schemas) -> Json:
    told: Json = {"description": STATUSES[status]}
    if status in {204, 303, 304}:
        return told
    if route.api is not None and {"wait", "dry_run"} & route.query:
        return told | _of_change(route, route.api, status, schemas)
    content: Json = {media_type: {} for media_type in route.media_types}
    content |= _content(route, schemas)
    return told | {"content": content} if content else told


def _of_change(route: Route, api: ApiRoute, status: int, schemas: Schemas) -> Json:
    """Return the content of what may be waited for, or only be tried."""
    if status == 202 and api.name == "destroy":
        # What is on its way out may be gone by now.
        return {}
    kinds = [_schema_of_api(api, schemas)] if status in {api.status, 202} else []
    if "wait" in route.query and api.answer == "none":
        kinds.append(schemas.of(ROUTES[f"{api.collection}.get"].answer_type))
    if status == 200:
        kinds.append(DRY_RUN)
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {"content": {"application/json": {"schema": schema}}}


def _content(route: Route, schemas: Schemas) -> Json:
    """Return the media types of an answer that has something to tell."""
    if route.api is not None:
        return _content_of_api(route, route.api, schemas)
    if route.gives is None:
        return {}
    is_list = get_origin(route.gives) is tuple
    item = item_of(route.gives)
    schema = schemas.listed(item) if is_list else schemas.of(item)
    return {"application/json": {"schema": schema}}


def _content_of_api(route: Route, api: ApiRoute, schemas: Schemas) -> Json:
    if api.answer in {"bytes", "stream"}:
        return {"*/*" if api.id == "blobs.read" else api.media_type: {}}
    schema = _schema_of_api(api, schemas)
    if not is_over_all(route):
        return {"application/json": {"schema": schema}}
    schema["properties"]["accounts"] = {"type": "array", "items": schemas.of(Part)}
    schema["required"] = [*schema["required"], "accounts"]
    return {"application/json": {"schema": schema}, LINES: {}}


def _schema_of_api(api: ApiRoute, schemas: Schemas) -> Json:
    match api.answer:
        case "page":
            schema = schemas.page(api.answer_type)
            if api.id == "blobs.page":
                schema["properties"]["prefixes"] = {"type": "array", "items": TEXT}
            return schema
        case "things":
            return schemas.listed(api.answer_type)
        case "thing":
            return schemas.of(api.answer_type)
        case "text":
            return {"type": "object", "required": ["text"], "properties": {"text": TEXT}}
        case "console":
            return CONSOLE
        case _:
            return {}


def _failures(route: Route) -> set[int]:
    found = (
        {400, 503} | route.fails | ({406, 422} if route.method == "GET" else {409, 413, 415, 422})
    )
    if not route.is_open or route.takes is not None:
        found |= {401, 403, 429}
    is_named = "{" in route.template or NAMES & route.query
    if is_named or route.api is not None or route.takes is not None:
        found.add(404)
    if "{account}" in route.template:
        found |= OF_CLOUD
    if "If-Match" in route.headers or (route.api is not None and route.api.headers):
        found.add(412)
    if route.api is not None and route.api.id == "blobs.read":
        found.add(416)
    return found


def item_of(kind: Any) -> Any:
    """Return the type of the items of a list, or the type itself."""
    return get_args(kind)[0] if get_origin(kind) is tuple else kind


def statuses() -> list[int]:
    return sorted({status for status, _, _ in problems.KINDS.values()})


def problem(status: int) -> Json:
    kinds = {kind: title for kind, (own, _, title) in problems.KINDS.items() if own == status}
    schema = {"$ref": REF.format(name=PROBLEM)}
    return {
        "description": " ".join(f"`{code}`: {text}" for code, text in sorted(kinds.items())),
        "content": {problems.MEDIA_TYPE: {"schema": schema}},
    }
