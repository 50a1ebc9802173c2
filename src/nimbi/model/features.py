"""Optional fields of requests: a driver names those that it honours; others are refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec


@dataclass(frozen=True)
class Feature:
    """Marks an optional field of a request: `Annotated[str | None, Feature("x", "…")]`."""

    name: str
    text: str


@cache
def features_of(request: type[msgspec.Struct]) -> Mapping[str, Feature]:
    """Return the marked fields of a request type, such as `{"user_data": Feature(...)}`."""
    found: dict[str, Feature] = {}
    for field, hint in get_type_hints(request, include_extras=True).items():
        if get_origin(hint) is Annotated:
            for mark in get_args(hint)[1:]:
                if isinstance(mark, Feature):
                    found[field] = mark
    return found


def asked_features(request: msgspec.Struct) -> dict[str, Feature]:
    """Return the marked fields to which this request gives a value, by field name.

    Those of the structs in such a field are named with it: `volumes.boot`.
    """
    kind = type(request)
    defaults = _defaults(kind)
    found: dict[str, Feature] = {}
    for name, mark in features_of(kind).items():
        value = getattr(request, name)
        if value is not None and value != defaults[name]:
            found[name] = mark
            found |= _asked_within(name, value)
    return found


def _asked_within(name: str, value: Any) -> dict[str, Feature]:
    if not isinstance(value, tuple):
        return {}
    return {
        f"{name}.{inner}": mark
        for part in value
        if isinstance(part, msgspec.Struct)
        for inner, mark in asked_features(part).items()
    }


@cache
def _defaults(request: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: _default(field) for field in msgspec.structs.fields(request)}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    make = field.default_factory
    return field.default if make is msgspec.NODEFAULT else make()
