"""The types of the API as JSON schemas, made by msgspec from the structs themselves."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, get_args, get_type_hints

import msgspec

from nimbi.api.routes import ApiRoute, Argument, Value, is_struct
from nimbi.model.features import features_of
from nimbi.model.resource import Resource

Json = dict[str, Any]

REF = "#/components/schemas/{name}"

DATE: Json = {"type": "string", "format": "date-time"}
TEXT: Json = {"type": "string"}

# What a thing has on the wire besides its fields.
ACCOUNT: Json = TEXT | {"description": "The account that holds it."}

PROBLEM = "ProblemDetails"
PROBLEM_SCHEMA: Json = {
    "title": PROBLEM,
    "description": "What went wrong (RFC 9457). Programs act on `code`.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": TEXT | {"description": "Where people read what the code means."},
        "title": TEXT | {"description": "What the code means, in short."},
        "status": {"type": "integer"},
        "detail": TEXT | {"description": "What went wrong this time, for a person."},
        "code": TEXT | {"description": "Name of the condition."},
        "request_id": TEXT | {"description": "Under this the server's log tells more."},
        "retry_after_s": {"type": "number", "description": "When to try again."},
        "capability": TEXT | {"description": "The operation or feature that is lacking."},
    },
}

# Fields of structs that this API does not carry: what is made of a header, and the cloud's own
# words.
HIDDEN = frozenset({"token", "extra"})


class Schemas:
    """The schemas of some types: whole ones as components, and what refers to them.

    `taken` are types of requests, `given` those of answers. A type that only requests have is
    closed: a member that it does not know is refused.
    """

    def __init__(self, taken: Iterable[Any], given: Iterable[Any]) -> None:
        wishes, answers = list(dict.fromkeys(taken)), list(dict.fromkeys(given))
        types = list(dict.fromkeys([*wishes, *answers]))
        refs, components = msgspec.json.schema_components(types, ref_template=REF)
        self._refs: dict[Any, Json] = dict(zip(types, refs, strict=True))
        self.components: dict[str, Json] = components
        told = structs(types)
        of_answers = structs(answers)
        for kind, name in _names(told, components).items():
            _tidy(components[name], kind)
            if kind not in of_answers:
                components[name]["additionalProperties"] = False
        self.components[PROBLEM] = PROBLEM_SCHEMA

    def of(self, kind: Any) -> Json:
        """Return the schema of a type that was told at the start."""
        return DATE if kind is datetime else self._refs[kind]

    def of_value(self, value: Value) -> Json:
        """Return the schema of a value in a path, a query or a header."""
        return self.of(value.type)

    def of_body(self, route: ApiRoute) -> Json:
        """Return the schema of the body that an operation takes as JSON."""
        if route.body == "arguments":
            return self._object(route.inside)
        argument = route.inside[0]
        in_path = {v.field for v in route.path if v.argument == argument.name and v.field}
        whole = self.of(argument.type)
        return self._without(whole, in_path) if in_path else whole

    def listed(self, kind: Any) -> Json:
        """Return the schema of a list: `{"items": […]}`."""
        items = {"type": "array", "items": self.of(kind)}
        return {"type": "object", "required": ["items"], "properties": {"items": items}}

    def page(self, kind: Any) -> Json:
        """Return the schema of one page, whose `next` is null at the end of the list."""
        schema = self.listed(kind)
        schema["required"] = ["items", "next"]
        schema["properties"]["next"] = {"type": ["string", "null"]}
        return schema

    def _object(self, arguments: Sequence[Argument]) -> Json:
        schema: Json = {
            "type": "object",
            "properties": {a.name: self.of(a.type) for a in arguments},
            "additionalProperties": False,
        }
        needed = [a.name for a in arguments if a.is_required]
        return schema | {"required": needed} if needed else schema

    def _without(self, schema: Json, fields: set[str]) -> Json:
        """Return a component written out, without the fields that the path tells."""
        whole = deepcopy(self.components[schema["$ref"].rpartition("/")[2]])
        # The title is that of the whole.
        whole.pop("title", None)
        whole["properties"] = {n: p for n, p in whole["properties"].items() if n not in fields}
        whole["required"] = [n for n in whole.get("required", ()) if n not in fields]
        return whole


def structs(types: Iterable[Any]) -> set[type[msgspec.Struct]]:
    """Return all Structs among types and what is within them."""
    found: set[type[msgspec.Struct]] = set()
    left = list(types)
    while left:
        kind = left.pop()
        if is_struct(kind):
            if kind not in found:
                found.add(kind)
                left += get_type_hints(kind).values()
        else:
            left += get_args(kind)
    return found


def _names(
    kinds: Iterable[type[msgspec.Struct]], components: Mapping[str, Json]
) -> dict[type[msgspec.Struct], str]:
    # msgspec names a component by the class; two classes of one name would be told apart by their
    # modules, and a test says that there are none.
    return {kind: kind.__name__ for kind in kinds if kind.__name__ in components}


def _tidy(schema: Json, kind: type[msgspec.Struct]) -> None:
    """Say of a component what msgspec does not: texts, times, and what is not on the wire."""
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    hints, marks = get_type_hints(kind), features_of(kind)
    properties = schema["properties"] = {
        name: told for name, told in schema["properties"].items() if name not in HIDDEN
    }
    if issubclass(kind, Resource):
        schema["properties"] = properties = {"account": ACCOUNT, **properties}
        schema["required"] = ["account", *schema["required"]]
    for name, told in properties.items():
        if name in marks:
            told["description"] = f"{marks[name].text} Feature `{marks[name].name}`."
        hint = hints.get(name)
        if hint is datetime or datetime in get_args(hint):
            properties[name] = _dated(told)


def _dated(schema: Json) -> Json:
    if "anyOf" in schema:
        return schema | {"anyOf": [_dated(part) for part in schema["anyOf"]]}
    return schema | {"format": "date-time"} if schema.get("type") == "string" else schema
