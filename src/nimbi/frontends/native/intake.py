"""Arguments of operations, read from the path, the query and the body; nothing is dropped."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from nimbi.api.routes import DEFAULT_LIMIT, ApiRoute, Argument, Value, is_wish
from nimbi.frontends.native.exchange import Exchange, check_json, decode
from nimbi.frontends.native.problems import bad_request
from nimbi.model.errors import Invalid

TOKEN = "token"  # noqa: S105  a name
MOST_SHOWN = 60

# What is meant by what every list takes, when it is not told.
UNTOLD: Mapping[str, Any] = {"marker": None, "limit": DEFAULT_LIMIT}


async def arguments(route: ApiRoute, exchange: Exchange) -> dict[str, Any]:
    """Return an operation's arguments by name. Raises Invalid, Problem."""
    given: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for value in route.path:
        _put(value, exchange.arguments[value.name], given, parts)
    if route.query:
        _read_query(route, exchange.query, given, parts)
    if exchange.method not in {"GET", "HEAD", "DELETE"}:
        await _read_body(route, exchange, given, parts)
    for argument in route.arguments:
        if argument.name in parts:
            given[argument.name] = converted(parts[argument.name], argument.type, lax=False)
        if exchange.token is not None and is_wish(argument.type):
            wish = given[argument.name]
            given[argument.name] = msgspec.structs.replace(wish, token=exchange.token)
    return given


def converted(value: Any, kind: Any, *, lax: bool) -> Any:
    """Return a value as a type; `lax` reads numbers and the like of texts. Raises Invalid."""
    try:
        return msgspec.convert(value, kind, strict=not lax)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error


def _put(value: Value, told: Any, given: dict[str, Any], parts: dict[str, dict[str, Any]]) -> None:
    """Note what is told of an argument, or of a field of one."""
    try:
        found = converted(told, value.type, lax=True) if isinstance(told, str) else told
    except Invalid as error:
        raise Invalid(f"{value.name}: {error.message}") from error
    if value.field is None:
        given[value.argument] = found
    else:
        parts.setdefault(value.argument, {})[value.field] = found


def _read_query(
    route: ApiRoute,
    query: Mapping[str, str],
    given: dict[str, Any],
    parts: dict[str, dict[str, Any]],
) -> None:
    for value in route.query:
        told = _family(value.name, query) if value.is_mapping else query.get(value.name)
        if told:
            _put(value, told, given, parts)
        elif value.is_required or told == "":
            raise bad_request(f"the parameter {value.name} is needed, and not empty")
        elif value.name in UNTOLD:
            given[value.argument] = UNTOLD[value.name]


def _family(name: str, query: Mapping[str, str]) -> dict[str, str]:
    """Return `{"owner": "ann"}` of `tags.owner=ann`."""
    prefix = name + "."
    return {key[len(prefix) :]: text for key, text in query.items() if key.startswith(prefix)}


async def _read_body(
    route: ApiRoute,
    exchange: Exchange,
    given: dict[str, Any],
    parts: dict[str, dict[str, Any]],
) -> None:
    body = await exchange.body()
    if not body.strip():
        if route.is_body_required:
            raise bad_request(f"{route.id} needs a body of JSON")
        told: dict[str, Any] = {}
    else:
        check_json(exchange.headers)
        told = decode(body, dict[str, Any])
    if route.body == "fields":
        [argument] = route.inside
        in_path = parts.setdefault(argument.name, {})
        check_known(told, argument.type, "$", frozenset(in_path))
        in_path.update(told)
        return
    known = {argument.name: argument for argument in route.inside}
    for name, value in told.items():
        if name not in known:
            raise Invalid(_unknown(name, "$", known))
        given[name] = _argument(known[name], value)
    for argument in route.inside:
        if argument.is_required and argument.name not in told:
            raise Invalid(f"Object missing required field `{argument.name}`")


def _argument(argument: Argument, value: Any) -> Any:
    check_known(value, argument.type, f"$.{argument.name}", frozenset())
    try:
        return converted(value, argument.type, lax=False)
    except Invalid as error:
        raise Invalid(f"{argument.name}: {error.message}") from error


def check_known(value: Any, kind: Any, where: str, taken: frozenset[str]) -> None:
    """Raise Invalid for a member of an object, at any depth, that its type does not know.

    Wishes refuse such by themselves, other structs do not; nothing is to be dropped in silence.
    `taken` are fields of the outermost that are told elsewhere.
    """
    _check(value, _info(kind), where, taken)


@cache
def _info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _check(value: Any, info: inspect.Type, where: str, taken: frozenset[str]) -> None:
    if isinstance(info, inspect.Metadata):
        _check(value, info.type, where, taken)
    elif isinstance(value, dict):
        struct = _struct_of(info, value)
        if struct is not None:
            _check_struct(value, struct, where, taken)
    elif isinstance(value, list):
        item = _item_of(info)
        if item is not None:
            for at, one in enumerate(value):
                _check(one, item, f"{where}[{at}]", frozenset())


def _check_struct(
    value: dict[str, Any], struct: inspect.StructType, where: str, taken: frozenset[str]
) -> None:
    fields = {field.encode_name: field for field in struct.fields}
    for name, member in value.items():
        if name == TOKEN and is_wish(struct.cls):
            raise Invalid("token is made of the header Idempotency-Key, and is not told here")
        if name in taken:
            raise Invalid(f"{name} is told by the path, and is not told here")
        if name in fields:
            _check(member, fields[name].type, f"{where}.{name}", frozenset())
        elif name != struct.tag_field:
            known = {key: None for key in fields if key not in taken and key != TOKEN}
            raise Invalid(_unknown(name, where, known))


def _struct_of(info: inspect.Type, value: dict[str, Any]) -> inspect.StructType | None:
    """Return which struct an object is to be, None when it is none or when that is not clear."""
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    structs = [kind for kind in kinds if isinstance(kind, inspect.StructType)]
    for struct in structs:
        if len(structs) == 1 or struct.tag == value.get(struct.tag_field or ""):
            return struct
    return None


def _item_of(info: inspect.Type) -> inspect.Type | None:
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    for kind in kinds:
        if isinstance(kind, inspect.VarTupleType | inspect.ListType):
            return kind.item_type
    return None


def _unknown(name: str, where: str, known: Mapping[str, Any]) -> str:
    there = ", ".join(sorted(known)) or "none"
    return f"there is no field {name[:MOST_SHOWN]!r} at {where}; there are: {there}"
