"""What the gateway must know of an operation before it calls it, read from its signature."""

import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_origin, get_type_hints

import msgspec

from nimbi.driver.capabilities import OPERATIONS, Function
from nimbi.driver.consoles import ConsoleStream
from nimbi.gateway.retry import PASSING, Errors
from nimbi.model.errors import Throttled
from nimbi.model.features import features_of
from nimbi.model.resource import NewResource

# Bounds of the numbers that the interfaces take, by name of the parameter.
RANGES = {
    "limit": (1, 1000),
    "count": (1, 100),
    "order": (1, 10000),
    # The longest that Amazon S3 signs for; a week is long for a link that anybody may use.
    "seconds": (1, 7 * 24 * 3600),
    # How many there are of them.
    "ids": (1, 1000),
}


@dataclass(frozen=True)
class Parameter:
    """A parameter that is checked; `at` counts the arguments after `self`."""

    at: int
    name: str


@dataclass(frozen=True)
class Number:
    """A parameter with bounds, both included."""

    at: int
    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Shape:
    """An operation as the gateway sees it.

    `repeated_after` are the errors after which it is tried again. `leaves_nothing` says that it
    removes something: not finding it any more is success when an attempt before may have worked.
    `makes` says that it makes something, of one token once. `opens` says that it answers with a
    ConsoleStream.
    """

    id: str
    interface: str
    name: str
    repeated_after: Errors
    leaves_nothing: bool
    makes: bool
    changes: bool
    opens: bool
    chunks: Parameter | None
    requests: tuple[Parameter, ...]
    numbers: tuple[Number, ...]


@cache
def shape_of(function: Function) -> Shape:
    """Return the shape of an operation of an interface. Raises TypeError for anything else."""
    operation = OPERATIONS.get(function)
    if operation is None:
        raise TypeError(f"{function!r} is no operation of an interface in nimbi.driver")
    hints = get_type_hints(function)
    returns = hints.pop("return")
    parameters = [
        Parameter(at, name)
        for at, name in enumerate(list(inspect.signature(function).parameters)[1:])
    ]
    chunks = next((p for p in parameters if get_origin(hints[p.name]) is AsyncIterator), None)
    return Shape(
        id=operation.id,
        interface=operation.interface.name,
        name=operation.id.partition(".")[2],
        repeated_after=_repeated_after(operation.is_repeatable, chunks is not None),
        leaves_nothing=operation.is_repeatable and returns is type(None),
        makes=operation.is_repeatable
        and any(_is_new(hints[parameter.name]) for parameter in parameters),
        changes=not operation.is_safe,
        opens=returns is ConsoleStream,
        chunks=chunks,
        requests=tuple(p for p in parameters if _is_request(hints[p.name])),
        numbers=tuple(
            Number(p.at, p.name, *RANGES[p.name]) for p in parameters if p.name in RANGES
        ),
    )


def _repeated_after(is_repeatable: bool, takes_stream: bool) -> Errors:
    # A stream that was read in part cannot be sent again.
    if takes_stream:
        return ()
    return PASSING if is_repeatable else (Throttled,)


def _is_request(hint: Any) -> bool:
    if not (isinstance(hint, type) and issubclass(hint, msgspec.Struct)):
        return False
    return issubclass(hint, NewResource) or bool(features_of(hint))


def _is_new(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, NewResource)
