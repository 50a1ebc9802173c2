"""The routes of the native API, derived from the operations: one for each, and no list beside."""

import inspect
import types
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from nimbi.driver.capabilities import OPERATIONS, Operation
from nimbi.driver.consoles import ConsoleStream
from nimbi.model.buckets import BlobContent
from nimbi.model.features import features_of
from nimbi.model.images import ImageContent
from nimbi.model.page import Page
from nimbi.model.resource import NewResource

Body = Literal["none", "fields", "arguments", "stream"]
Kind = Literal["page", "thing", "things", "text", "bytes", "stream", "console", "none"]

# Where the routes of one account begin, and those over all of them.
ONE_ACCOUNT = "/v1/accounts/{account}"
ALL_ACCOUNTS = "/v1"

# Collections that live in another's things.
NESTED = {"blobs": "/buckets/{bucket_id}/blobs"}

BLOB = "/buckets/{bucket_id}/blobs/{id}"
UPLOAD = BLOB + "/uploads/{upload_id}"


@dataclass(frozen=True)
class _Special:
    """What the rules of `_method_and_template` do not give.

    `path` says which field of an argument a name in the URL is, `headers` which argument or field
    a header carries; a name that ends in `*` begins a family of them.
    """

    method: str = ""
    template: str = ""
    path: Mapping[str, str] = made_by(default_factory=dict)
    headers: Mapping[str, str] = made_by(default_factory=dict)


_NEW_BLOB = {"bucket_id": "new.bucket_id", "id": "new.id"}
_UPLOAD = {"bucket_id": "upload.bucket_id", "id": "upload.blob_id", "upload_id": "upload.id"}

SPECIAL: Mapping[str, _Special] = {
    "firewalls.create_rule": _Special("POST", "/firewalls/{id}/rules"),
    "firewalls.destroy_rule": _Special("DELETE", "/firewalls/{id}/rules/{rule_id}"),
    "images.read": _Special("GET", "/images/{id}/content"),
    "images.upload": _Special(headers={"Content-Length": "new.size_bytes"}),
    "blobs.read": _Special(
        "GET",
        BLOB + "/content",
        headers={"Range": "range", "If-Match": "where.etag", "If-None-Match": "where.other_than"},
    ),
    "blobs.write": _Special(
        "PUT",
        BLOB + "/content",
        _NEW_BLOB,
        {
            "Content-Length": "new.size_bytes",
            "Content-Type": "new.content_type",
            "x-nimbi-meta-*": "new.metadata",
            "If-None-Match": "new.only_new",
            "If-Match": "new.only_over",
        },
    ),
    "blobs.copy": _Special(
        "POST", BLOB + "/copy", {"bucket_id": "source.bucket_id", "id": "source.id"}
    ),
    "blobs.begin_upload": _Special("POST", BLOB + "/uploads", _NEW_BLOB),
    "blobs.write_segment": _Special(
        "PUT", UPLOAD + "/segments/{order}", _UPLOAD, {"Content-Length": "size_bytes"}
    ),
    "blobs.finish_upload": _Special("POST", UPLOAD + "/finish", _UPLOAD),
    "blobs.abort_upload": _Special("DELETE", UPLOAD, _UPLOAD),
}

# What is told of the arguments that every list has.
TEXTS = {
    "marker": "The `next` of the page before.",
    "limit": "How many items at most, 1 to 1000.",
    "seconds": "How long it holds, 1 to 604800 seconds.",
    "id": "The cloud's own id.",
    "bucket_id": "The bucket.",
    "order": "Which segment, 1 to 10000.",
}

# What the API takes when a list's `limit` is not told.
DEFAULT_LIMIT = 100

# Of what kind the bytes are that an operation answers with.
MEDIA_TYPES = {"instances.console": "text/plain", "instances.screenshot": "image/png"}

_KINDS: Mapping[Any, Kind] = {
    ConsoleStream: "console",
    BlobContent: "stream",
    ImageContent: "stream",
    bytes: "bytes",
    str: "text",
    type(None): "none",
}


@dataclass(frozen=True)
class Argument:
    """One argument of an operation after `self`, in order. `default` is NODEFAULT when needed."""

    name: str
    type: Any
    default: Any = msgspec.NODEFAULT

    @property
    def is_required(self) -> bool:
        return self.default is msgspec.NODEFAULT


@dataclass(frozen=True)
class Value:
    """A value outside of the body, under `name` there.

    It is the `argument`, or the `field` of an argument that is a Struct. A value whose type is a
    mapping comes as several: `tags.owner=ann` and `tags.env=test` (a header: `x-nimbi-meta-owner`).
    """

    name: str
    argument: str
    field: str | None
    type: Any
    is_required: bool
    text: str = ""

    @property
    def is_mapping(self) -> bool:
        return get_origin(self.type) is Mapping


@dataclass(frozen=True)
class ApiRoute:
    """Where an operation is: `POST /v1/accounts/{account}` + `/instances/{id}/start`.

    `path`, `query` and `headers` tell the values outside of the body. The `body` holds the fields
    of the one argument in `inside` (those that the path does not tell, and never `token`, which is
    made of the header Idempotency-Key), or `inside` as members of an object by their names, or the
    bytes of a stream. The answer is an `answer_type`: of each item when it is a page or things
    (`{"items": […]}`), of the whole when it is a thing; a text is `{"text": "…"}`.
    """

    operation: Operation
    method: str
    template: str
    arguments: tuple[Argument, ...]
    path: tuple[Value, ...]
    query: tuple[Value, ...]
    headers: tuple[Value, ...]
    body: Body
    inside: tuple[Argument, ...]
    answer: Kind
    answer_type: Any
    status: int
    media_type: str

    @property
    def id(self) -> str:
        """`instances.start`."""
        return self.operation.id

    @property
    def collection(self) -> str:
        """`instances`."""
        return self.operation.interface.name

    @property
    def name(self) -> str:
        """`start`."""
        return self.operation.id.partition(".")[2]

    @property
    def makes(self) -> bool:
        """Whether it takes a wish for something new, whose token is made of the Idempotency-Key."""
        return any(is_wish(argument.type) for argument in self.arguments)

    @property
    def is_body_required(self) -> bool:
        """Whether a request without any body is refused."""
        if self.body == "fields":
            kind = self.inside[0].type
            told = {value.field for value in self.path if value.argument == self.inside[0].name}
            return any(
                field.required for field in msgspec.structs.fields(kind) if field.name not in told
            )
        return self.body == "stream" or any(argument.is_required for argument in self.inside)


def is_wish(hint: Any) -> bool:
    """Return whether a type is a NewX, which has a token."""
    return isinstance(hint, type) and issubclass(hint, NewResource)


def is_struct(hint: Any) -> bool:
    """Return whether a type is a Struct, whose fields stand for it."""
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def without_none(hint: Any) -> Any:
    """Return a type without the None that stands for no wish."""
    if get_origin(hint) is Annotated:
        return without_none(get_args(hint)[0])
    if get_origin(hint) in {Union, types.UnionType}:
        left = tuple(part for part in get_args(hint) if part is not type(None))
        return left[0] if len(left) == 1 else Union[left]  # noqa: UP007  made of a tuple
    return hint


def _arguments(operation: Operation) -> tuple[Argument, ...]:
    hints = get_type_hints(operation.function)
    parameters = list(inspect.signature(operation.function).parameters.values())[1:]
    return tuple(
        Argument(p.name, hints[p.name], msgspec.NODEFAULT if p.default is p.empty else p.default)
        for p in parameters
    )


def _method_and_template(operation: Operation, arguments: tuple[Argument, ...]) -> tuple[str, str]:
    """Return where an operation is by the rules.

    `page` and `create` are the collection, `get` and `destroy` the thing; others are below the
    thing when they take its id, below the collection when they do not; what only reads is a GET.
    """
    name = operation.id.partition(".")[2]
    base = NESTED.get(operation.interface.name, "/" + operation.interface.name)
    thing = base + "/{id}"
    simple = {
        "page": ("GET", base),
        "create": ("POST", base),
        "get": ("GET", thing),
        "destroy": ("DELETE", thing),
    }
    if name in simple:
        return simple[name]
    of_thing = any(argument.name == "id" for argument in arguments)
    return "GET" if operation.is_safe else "POST", f"{thing if of_thing else base}/{name}"


def _value(name: str, what: str, arguments: tuple[Argument, ...]) -> Value:
    """Return the value that is the argument, or argument and field, `what`."""
    argument_name, _, field = what.partition(".")
    argument = next(a for a in arguments if a.name == argument_name)
    if not field:
        required = argument.is_required and argument.name not in {"marker", "limit"}
        return Value(
            name, argument.name, None, without_none(argument.type), required, TEXTS.get(name, "")
        )
    found = next(f for f in msgspec.structs.fields(argument.type) if f.name == field)
    marks = features_of(argument.type)
    text = marks[field].text if field in marks else TEXTS.get(name, "")
    hint = get_type_hints(argument.type)[field]
    return Value(name, argument.name, field, without_none(hint), found.required, text)


def _in_query(arguments: list[Argument], carried: set[str]) -> list[tuple[str, str]]:
    """Return the names in the query, each with its argument, or argument and field."""
    found: list[tuple[str, str]] = []
    for argument in arguments:
        if not is_struct(argument.type):
            found.append((argument.name, argument.name))
            continue
        for field in argument.type.__struct_fields__:
            if field != "token" and f"{argument.name}.{field}" not in carried:
                found.append((field, f"{argument.name}.{field}"))
    return found


def _answer(operation: Operation) -> tuple[Kind, Any]:
    returns = get_type_hints(operation.function)["return"]
    if returns in _KINDS:
        return _KINDS[returns], returns
    origin = get_origin(returns)
    if origin is tuple:
        return "things", get_args(returns)[0]
    if origin is Page:
        return "page", get_args(returns)[0]
    if isinstance(returns, type) and issubclass(returns, Page):
        # BlobPage, which is a Page of Blobs and tells prefixes too.
        return "page", get_args(returns.__orig_bases__[0])[0]  # type: ignore[attr-defined]
    return "thing", returns


def _status(name: str, kind: Kind) -> int:
    if kind == "none":
        return 204
    makes = name.startswith(("create", "begin_")) or name in {"upload", "write", "copy"}
    return 201 if makes or kind == "console" else 200


def _route(operation: Operation) -> ApiRoute:
    arguments = _arguments(operation)
    special = SPECIAL.get(operation.id, _Special())
    method, template = _method_and_template(operation, arguments)
    method, template = special.method or method, special.template or template
    names = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    path = tuple(_value(name, special.path.get(name, name), arguments) for name in names)
    headers = tuple(_value(name, what, arguments) for name, what in special.headers.items())
    in_path = {value.argument for value in path}
    whole = {v.argument for v in (*path, *headers) if v.field is None}
    carried = {f"{v.argument}.{v.field}" for v in (*path, *headers) if v.field is not None}
    stream = next((a for a in arguments if get_origin(a.type) is AsyncIterator), None)
    rest = [a for a in arguments if a is not stream and a.name not in whole]
    query: tuple[Value, ...] = ()
    inside: tuple[Argument, ...] = ()
    body: Body = "none"
    if stream is not None or method == "GET":
        query = tuple(
            _value(name, what, arguments) for name, what in _in_query(_left(rest), carried)
        )
        body = "stream" if stream is not None else "none"
    else:
        # An argument that the path tells whole is not told again.
        inside = tuple(a for a in rest if a.name not in in_path or is_wish(a.type))
        fields = len(inside) == 1 and is_struct(inside[0].type)
        body = "fields" if fields else "arguments" if inside else "none"
    kind, answer_type = _answer(operation)
    media = MEDIA_TYPES.get(operation.id, "application/octet-stream")
    return ApiRoute(
        operation=operation,
        method=method,
        template=template,
        arguments=arguments,
        path=path,
        query=query,
        headers=headers,
        body=body,
        inside=inside,
        answer=kind,
        answer_type=answer_type,
        status=_status(operation.id.partition(".")[2], kind),
        media_type=media if kind in {"bytes", "stream"} else "application/json",
    )


def _left(arguments: list[Argument]) -> list[Argument]:
    """Return the arguments that can be told in a query; an upload is told by the path."""
    return [a for a in arguments if a.name != "upload"]


ROUTES: Mapping[str, ApiRoute] = {
    operation.id: _route(operation) for operation in OPERATIONS.values()
}

# The lists over all accounts, by collection: `/v1/instances`.
LISTS: Mapping[str, ApiRoute] = {
    route.collection: route for route in ROUTES.values() if route.name == "page" and not route.path
}
