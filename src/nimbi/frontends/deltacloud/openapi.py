"""The API as an OpenAPI 3.1 document: made from the routes, for what one driver can do."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nimbi.driver.capabilities import features
from nimbi.driver.interface import Driver
from nimbi.frontends.deltacloud import openapi_schemas as schemas
from nimbi.frontends.deltacloud.bodies import MULTIPART, URLENCODED
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.features import of_operation, offered
from nimbi.frontends.deltacloud.formats import DOCUMENTS, HTML, JSON
from nimbi.frontends.deltacloud.route import Body, Parameter, Route
from nimbi.frontends.deltacloud.selection import API_VERSION

VERSION = "3.1.0"

Json = dict[str, Any]

ABOUT = (
    "What the driver `{driver}` of this server can do. Parameters of a POST may stand in the body "
    "as a form, in the query string, or in both; the body wins. `format` in the query string "
    "beats the Accept header. Headers X-Deltacloud-Blobmeta-NAME carry the metadata of blobs."
)

# The status of success by operation, 200 where nothing is said.
STATUSES: Mapping[str, int] = {
    "choose": 301,
    "create": 201,
    "rules": 201,
    "start": 202,
    "stop": 202,
    "reboot": 202,
    "associate": 202,
    "disassociate": 202,
    "attach": 202,
    "detach": 202,
    "destroy": 204,
    "delete_rule": 204,
    "metadata": 204,
    "update": 204,
}

# After these a browser is led to a page.
REDIRECTED = frozenset(
    {"start", "stop", "reboot", "associate", "disassociate", "attach", "detach", "register"}
    | {"unregister", "destroy", "rules", "delete_rule", "update"}
)

# What any cloud may answer.
OF_CLOUD = (401, 403, 409, 412, 429, 501, 502, 503, 504)

CONTENT_HEADERS = ("Range", "If-Range", "If-None-Match", "If-Modified-Since")
UPLOAD_HEADERS = (
    "X-Deltacloud-BlobType",
    "X-Deltacloud-SegmentedBlob",
    "X-Deltacloud-SegmentOrder",
)


def document(
    routes: Sequence[Route], driver: Driver[Any, Any], operations: frozenset[str], url: str
) -> Json:
    """Return the document; `operations` are those of the driver, `url` is the entry point's."""
    shown = [route for route in routes if _is_shown(route) and route.need_ids <= operations]
    paths: dict[str, Json] = {}
    spelled: dict[str, str] = {}
    for route in shown:
        path = _path(route)
        # Two templates that differ in names alone are one path, and may not both stand here.
        path = spelled.setdefault(re.sub(r"\{\w+\}", "{}", path), path)
        taken = parameters(route, driver, operations)
        paths.setdefault(path, {})[route.verb.lower()] = _operation(route, path, taken)
    collections = dict.fromkeys(route.collection for route in shown if route.collection)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Deltacloud API",
            "version": API_VERSION,
            "description": ABOUT.format(driver=driver.name),
        },
        "servers": [{"url": url}],
        "tags": [_tag(name) for name in collections],
        "paths": paths,
        "components": schemas.components(collections),
    }


def parameters(
    route: Route, driver: Driver[Any, Any], operations: frozenset[str]
) -> tuple[Parameter, ...]:
    """Return what an operation takes, without what only other drivers honour."""
    kind = KINDS.get(route.collection)
    if kind is None:
        return route.parameters
    every = {p.name for p in of_operation(route.collection, route.operation)}
    having = {
        p.name
        for feature in offered(route.collection, features(driver, kind.interface), operations)
        if feature.operation == route.operation
        for p in feature.shown
    }
    by_name = {p.name: p for p in (*route.parameters, *route.features)}
    return tuple(p for name, p in by_name.items() if name not in every - having)


def _is_shown(route: Route) -> bool:
    return route.documented or not route.collection


def _path(route: Route) -> str:
    """Return the path below the entry point: `/instances/{id}`."""
    path = re.sub(r":(\w+)", r"{\1}", route.path.removeprefix("/api"))
    return path or "/"


def _tag(name: str) -> Json:
    kind = KINDS.get(name)
    return {"name": name, "description": kind.text} if kind else {"name": name}


def _operation(route: Route, path: str, taken: Sequence[Parameter]) -> Json:
    told: Json = {
        "operationId": f"{route.collection or 'api'}_{route.operation}",
        "summary": route.text,
        "tags": [route.collection] if route.collection else [],
        "parameters": [
            *(
                {"name": n, "in": "path", "required": True, "schema": schemas.ID}
                for n in _ids(path)
            ),
            *_query(route, taken),
            *_headers(route),
        ],
        "responses": {str(status): answer for status, answer in sorted(_responses(route, path))},
        "security": [{"basic": []}] if route.opens_cloud else [],
    }
    if route.body is Body.STREAM:
        told["requestBody"] = {"content": {"application/octet-stream": {}}}
    elif route.verb == "POST" and taken:
        told["requestBody"] = _form(taken)
    return told


def _ids(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _query(route: Route, taken: Sequence[Parameter]) -> Iterator[Json]:
    if not route.any_accept:
        names = [known.name for known in route.formats]
        schema = {"type": "string", "enum": names}
        yield {"name": "format", "in": "query", "schema": schema}
    if route.verb != "POST":
        for parameter in taken:
            yield {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.text,
                "schema": schemas.TEXT,
            }


def _headers(route: Route) -> Iterator[Json]:
    names: tuple[str, ...] = ()
    if route.operation == "content":
        names = CONTENT_HEADERS
    elif route.body is Body.STREAM:
        names = UPLOAD_HEADERS
    for name in names:
        yield {"name": name, "in": "header", "schema": schemas.TEXT}


def _form(taken: Sequence[Parameter]) -> Json:
    """Return the body of a POST; one that is left out is as good as an empty one."""
    named = {p.name: p for p in taken if p.pattern is None}
    patterns = {f"^{p.pattern.pattern}$": p for p in taken if p.pattern is not None}
    needed = [p.name for p in taken if p.required]
    schema: Json = {
        "type": "object",
        "properties": {name: schemas.TEXT | {"description": p.text} for name, p in named.items()},
        "additionalProperties": False,
    }
    if patterns:
        schema["patternProperties"] = {
            pattern: schemas.TEXT | {"description": p.text} for pattern, p in patterns.items()
        }
    if needed:
        schema["required"] = needed
    content = {media_type: {"schema": schema} for media_type in (URLENCODED, MULTIPART)}
    return {"required": bool(needed), "content": content}


def _responses(route: Route, path: str) -> Iterator[tuple[int, Json]]:
    status = STATUSES.get(route.operation, 200)
    yield status, _success(route, status)
    if route.operation == "stream":
        yield 204, _success(route, 204)
    if route.operation in REDIRECTED:
        yield 303, schemas.response(303)
    if route.verb == "GET":
        yield 304, schemas.response(304)
    if route.operation == "content":
        yield 206, _success(route, 206)
        yield 302, schemas.response(302)
        yield 416, schemas.response(416)
    for failure in sorted(_failures(route, path)):
        empty = failure == 404 and route.collection == "drivers"
        yield failure, schemas.EMPTY_404 if empty else schemas.response(failure)


def _failures(route: Route, path: str) -> Iterator[int]:
    yield 400
    if not route.any_accept:
        yield 406
    if route.verb == "POST":
        yield from (403, 413, 415)
    if route.opens_cloud:
        # A member is named by the path, or by what is sent.
        yield from OF_CLOUD if route.verb != "GET" else (s for s in OF_CLOUD if s != 409)
    elif route.operation == "index":
        yield 401
    if _ids(path) or route.verb == "POST":
        yield 404
    if route.is_action:
        yield 405


def _success(route: Route, status: int) -> Json:
    told: Json = {"description": route.text}
    if route.operation == "content":
        return told | {"content": {"*/*": {}}}
    told["headers"] = schemas.headers(status)
    body = schemas.body(route.collection, route.operation) if status in {200, 201, 202} else None
    if body is None:
        return told
    # A browser is led to a page instead.
    formats = [f for f in route.formats if f is not HTML or route.operation not in REDIRECTED]
    told["content"] = {
        f.media_types[0]: {"schema": body} if f is JSON else {} for f in formats or DOCUMENTS
    }
    return told
