"""Operations as requests: what a caller writes, and a server reads back."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from urllib.parse import quote

import msgspec

from nimbi.api.routes import ALL_ACCOUNTS, ONE_ACCOUNT, ApiRoute, Value, is_struct
from nimbi.model.buckets import ByteRange
from nimbi.wire.content_headers import NAME_SAFE

Pairs = tuple[tuple[str, str], ...]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class ApiRequest:
    """A request of one operation. `path` is percent-encoded, the texts of `query` are not.

    `headers` are those that carry arguments, and the body's type. `body` is None for none;
    `chunks` is the caller's own stream, for the operations that take one.
    """

    method: str
    path: str
    query: Pairs
    headers: Pairs
    body: bytes | None
    chunks: AsyncIterator[bytes] | None = None


def request_of(
    route: ApiRoute, account: str, args: tuple[Any, ...], named: Mapping[str, Any]
) -> ApiRequest:
    """Return the request of an operation with these arguments.

    What is at its default is left out. A wish's `token` is not written: whoever sends the request
    makes it the Idempotency-Key. Raises TypeError for arguments that the operation does not take.
    """
    given = arguments_of(route, args, named)
    query: list[tuple[str, str]] = []
    for value in route.query:
        query += _pairs(value.name, _told(route, value, given))
    headers: list[tuple[str, str]] = []
    for value in route.headers:
        headers += _header(value, _told(route, value, given))
    body = _body(route, given)
    if body is not None:
        headers.append(("Content-Type", "application/json"))
    path = path_of(route, account, {v.name: _told(route, v, given) for v in route.path})
    chunks = next((v for v in given.values() if hasattr(v, "__anext__")), None)
    return ApiRequest(route.method, path, tuple(query), tuple(headers), body, chunks)


def path_of(route: ApiRoute, account: str, values: Mapping[str, Any]) -> str:
    """Return the path of an operation, percent-encoded, dots too where they would be a step."""
    template = ONE_ACCOUNT + route.template
    parts = template.split("/")
    told = {**values, "account": account}
    return "/".join(segment(text_of(told[p[1:-1]])) if p.startswith("{") else p for p in parts)


def list_path(collection: str) -> str:
    """Return the path of the list over all accounts."""
    return f"{ALL_ACCOUNTS}/{collection}"


def segment(text: str) -> str:
    """Return any text as one segment of a path.

    `.` and `..` would stand for another one, so their dots are encoded; whoever sends the path must
    not tidy it up.
    """
    coded = quote(text, safe="")
    return coded.replace(".", "%2E") if text in {".", ".."} else coded


def arguments_of(
    route: ApiRoute, args: tuple[Any, ...], named: Mapping[str, Any]
) -> dict[str, Any]:
    """Return arguments by their names. Raises TypeError for what the operation does not take."""
    names = [argument.name for argument in route.arguments]
    if len(args) > len(names):
        raise TypeError(f"{route.id} takes {len(names)} arguments, not {len(args)}")
    given = dict(zip(names, args, strict=False))
    for name, value in named.items():
        if name not in names or name in given:
            raise TypeError(f"{route.id} does not take {name!r}, or has it twice")
        given[name] = value
    for argument in route.arguments:
        if argument.name not in given and argument.is_required:
            raise TypeError(f"{route.id} needs {argument.name!r}")
    return given


def text_of(value: Any) -> str:
    """Return a value as the URL has it: `true`, `2026-01-02T03:04:05Z`, a word of an enumeration.

    What is no scalar is JSON.
    """
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return str(msgspec.to_builtins(value))
    return _encode(value).decode()


def _told(route: ApiRoute, value: Value, given: Mapping[str, Any]) -> Any:
    """Return what is given for a value, None when it is left out or at its default."""
    found = given.get(value.argument)
    if found is None or value.field is None:
        return found
    told = getattr(found, value.field)
    info = next(f for f in msgspec.structs.fields(type(found)) if f.name == value.field)
    return None if is_default(info, told) else told


def _pairs(name: str, told: Any) -> list[tuple[str, str]]:
    if told is None:
        return []
    if isinstance(told, Mapping):
        return [(f"{name}.{key}", text_of(value)) for key, value in told.items()]
    return [(name, text_of(told))]


def _header(value: Value, told: Any) -> list[tuple[str, str]]:
    if told is None:
        return []
    if isinstance(told, Mapping):
        family = value.name.removesuffix("*")
        # Names of metadata hold what names of headers cannot.
        return [(family + quote(key.lower(), safe=NAME_SAFE), t) for key, t in told.items()]
    if isinstance(told, ByteRange):
        if told.first < 0:
            return [(value.name, f"bytes={told.first}")]
        return [(value.name, f"bytes={told.first}-{'' if told.last is None else told.last}")]
    if isinstance(told, bool):
        # Only over nothing that is there: RFC 9110, section 13.1.2.
        return [(value.name, "*")] if told else []
    if value.name in {"If-Match", "If-None-Match"}:
        return [(value.name, f'"{told}"')]
    return [(value.name, text_of(told))]


def _body(route: ApiRoute, given: Mapping[str, Any]) -> bytes | None:
    if route.body == "fields":
        [argument] = route.inside
        if argument.name not in given:
            return None
        in_path = {v.field for v in route.path if v.argument == argument.name}
        return _encode(_written(given[argument.name], in_path))
    if route.body == "arguments":
        told = {a.name: _written(given[a.name], set()) for a in route.inside if a.name in given}
        return _encode(told)
    return None


def _written(value: Any, left_out: set[str | None]) -> Any:
    """Return a value for JSON: of a Struct the fields that are not at their defaults."""
    if not is_struct(type(value)):
        return value
    told = {}
    for field in msgspec.structs.fields(type(value)):
        found = getattr(value, field.name)
        if field.name not in left_out and field.name != "token" and not is_default(field, found):
            told[field.encode_name] = found
    return told


def is_default(field: msgspec.structs.FieldInfo, value: Any) -> bool:
    """Return whether a field is as it would be if nobody told it."""
    if field.required:
        return False
    make = field.default_factory
    untold = field.default if make is msgspec.NODEFAULT else make()
    return bool(value == untold)
