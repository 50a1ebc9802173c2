"""The OpenAPI document in words: what the templates are given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

# Statuses from here on are problems.
FIRST_PROBLEM = 400


@dataclass(frozen=True)
class Kind:
    """What a value is: words, and between them the name of a type."""

    before: str = ""
    name: str = ""
    after: str = ""


@dataclass(frozen=True)
class Field:
    """A row of a table."""

    name: str
    kind: Kind
    text: str
    required: bool
    where: str = ""


@dataclass(frozen=True)
class Reply:
    """One way in which a request goes well."""

    status: str
    text: str
    kind: Kind


@dataclass(frozen=True)
class Told:
    """One operation."""

    id: str
    method: str
    path: str
    text: str
    parameters: tuple[Field, ...]
    body: Kind | None
    fields: tuple[Field, ...]
    answers: tuple[Reply, ...]
    problems: tuple[str, ...]


def operations(document: Json, group: str) -> Iterator[Told]:
    """Yield the operations of a group, those over all accounts first."""
    for path, methods in sorted(document["paths"].items(), key=lambda item: item[0].count("/")):
        for method, operation in methods.items():
            if group in operation["tags"]:
                yield _operation(method, path, operation, document["components"]["schemas"])


def kind_of(schema: Json) -> Kind:
    """Return what a schema stands for: `list of Endpoint`, `text or null`."""
    if "$ref" in schema:
        return Kind(name=schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return Kind(" | ".join(map(str, schema["enum"])))
    if "anyOf" in schema:
        return _either([kind_of(part) for part in schema["anyOf"]])
    told = schema.get("type")
    if told == "array":
        of = kind_of(schema.get("items", {}))
        return Kind("list of " + of.before, of.name, of.after)
    if told == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        of = kind_of(schema["additionalProperties"])
        return Kind("names with " + of.before, of.name, of.after)
    return Kind(_word(schema))


def fields(schema: Json) -> tuple[Field, ...]:
    """Return the members of an object, those that are required first."""
    needed = schema.get("required", ())
    rows = [
        Field(name, kind_of(told), told.get("description", ""), name in needed)
        for name, told in schema.get("properties", {}).items()
    ]
    return tuple(sorted(rows, key=lambda row: not row.required))


def _operation(method: str, path: str, operation: Json, components: Json) -> Told:
    responses = operation["responses"]
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    body = None
    if content:
        body = kind_of(schema) if schema else Kind("bytes")
    return Told(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        text=operation["summary"],
        parameters=tuple(_parameter(told) for told in operation["parameters"]),
        body=body,
        fields=fields(components[body.name] if body is not None and body.name else schema),
        answers=tuple(
            Reply(status, told["description"], _answered(told))
            for status, told in responses.items()
            if int(status) < FIRST_PROBLEM
        ),
        problems=tuple(status for status in responses if int(status) >= FIRST_PROBLEM),
    )


def _parameter(told: Json) -> Field:
    is_family = told.get("style") == "deepObject"
    return Field(
        told["name"] + ".NAME" if is_family else told["name"],
        Kind("text") if is_family else kind_of(told["schema"]),
        told.get("description", ""),
        told.get("required", False),
        told["in"],
    )


def _answered(response: Json) -> Kind:
    content = response.get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return Kind(", ".join(content).replace("*/*", "the blob's own type"))
    items = schema.get("properties", {}).get("items")
    if items is None or "$ref" in schema:
        return kind_of(schema)
    of = kind_of(items["items"])
    return Kind(f"{{{', '.join(schema['properties'])}}} with items {of.before}", of.name, of.after)


def _either(kinds: list[Kind]) -> Kind:
    """Return several kinds as one; only the first name of a type stays a link."""
    named = next((kind for kind in kinds if kind.name), None)
    others = [kind.before + kind.name + kind.after for kind in kinds if kind is not named]
    if named is None:
        return Kind(" or ".join(dict.fromkeys(others)))
    return Kind(named.before, named.name, named.after + "".join(f" or {o}" for o in others))


def _word(schema: Json) -> str:
    told = schema.get("type", "anything")
    if isinstance(told, list):
        return " or ".join(told)
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    if schema.get("contentEncoding") == "base64":
        return "bytes in base64"
    return {"string": "text", "boolean": "true or false"}.get(told, str(told))
