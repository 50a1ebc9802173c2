"""Marks on operations that tell the gateway what may be repeated."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

EFFECT = "__nimbi_effect__"
SAFE = "safe"
REPEATABLE = "repeatable"


def safe(operation: F) -> F:
    """Mark an operation that only reads: it may be repeated after any passing fault."""
    setattr(operation, EFFECT, SAFE)
    return operation


def repeatable(operation: F) -> F:
    """Mark an operation that has the same effect once or twice, like a create with its token."""
    setattr(operation, EFFECT, REPEATABLE)
    return operation


class Collection:
    """One kind of resource. Each public coroutine of an interface below is an operation.

    A driver supports the operations that it overrides, and no others. `features` names the
    optional request fields that it honours (`nimbi.model.features`).
    """

    name: ClassVar[str]
    features: ClassVar[frozenset[str]] = frozenset()
