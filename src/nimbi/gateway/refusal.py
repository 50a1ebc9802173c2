"""What is refused, or completed, before any traffic: features, bounds, tokens."""

import uuid
from typing import Any

import msgspec

from nimbi.gateway.shape import Number, Shape
from nimbi.model.errors import Invalid, Unsupported
from nimbi.model.features import asked_features
from nimbi.model.resource import NewResource


def check_numbers(shape: Shape, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Raise Invalid for a number out of its bounds."""
    for number in shape.numbers:
        value = args[number.at] if number.at < len(args) else named.get(number.name)
        if isinstance(value, tuple | list):
            value = len(value)
        if value is not None and not number.low <= value <= number.high:
            raise Invalid(_bounds(shape, number, value))


def completed(
    shape: Shape,
    driver: str,
    features: frozenset[str],
    args: tuple[Any, ...],
    named: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with a token in each wish that has none.

    Raises Unsupported when a request asks for a feature that is not among `features`, Invalid when
    a wish contradicts itself.
    """
    given, given_named = list(args), dict(named)
    for parameter in shape.requests:
        if parameter.at < len(given):
            given[parameter.at] = _completed(shape, driver, features, given[parameter.at])
        elif parameter.name in given_named:
            request = given_named[parameter.name]
            given_named[parameter.name] = _completed(shape, driver, features, request)
    return tuple(given), given_named


def _completed(
    shape: Shape, driver: str, features: frozenset[str], request: msgspec.Struct
) -> msgspec.Struct:
    for field, feature in asked_features(request).items():
        if feature.name not in features:
            capability = f"{shape.interface}.{feature.name}"
            raise Unsupported(
                f"{driver} does not support {capability}, so {shape.id} cannot honour {field}",
                capability,
            )
    if not isinstance(request, NewResource):
        return request
    request.check()
    if request.token is None:
        return msgspec.structs.replace(request, token=str(uuid.uuid4()))
    return request


def _bounds(shape: Shape, number: Number, value: Any) -> str:
    return f"{number.name} of {shape.id} is {number.low} to {number.high}, not {value!r}"
