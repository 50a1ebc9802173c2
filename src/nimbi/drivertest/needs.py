"""What a test asks of a driver, and the reason for its skip when the driver lacks it."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from nimbi.driver.capabilities import OPERATIONS, Function
from nimbi.driver.operation import Collection
from nimbi.gateway.cloud import Cloud

F = TypeVar("F", bound=Callable[..., Any])

# What is asked of a driver: an operation, the verb of one of the tested collection ("create"),
# or a feature of a collection.
Need = Function | str | tuple[type[Collection], str]

NEEDS = "__nimbi_needs__"


def needs(*operations: Function | str) -> Callable[[F], F]:
    """Skip the test unless the cloud supports all of these operations.

    A string is a verb of the tested collection: `@needs("create", "page")`.
    """
    return _marking(operations)


def needs_feature(interface: type[Collection], *features: str) -> Callable[[F], F]:
    """Skip the test unless the driver honours all of these features of a collection."""
    return _marking(tuple((interface, feature) for feature in features))


def lacking(cloud: Cloud, need: Need, own: type[Collection] | None = None) -> str | None:
    """Return why the cloud cannot serve a need, `"mock has no instances.start"`, None if it can.

    `own` is the tested collection, to which a bare verb belongs.
    """
    if isinstance(need, tuple):
        interface, feature = need
        if feature in cloud.features(interface):
            return None
        return f"{cloud.driver.name} does not honour {interface.name}.{feature}"
    if isinstance(need, str) and own is None:
        raise TypeError(f"{need!r} is a verb of no collection: the class sets no `interface`")
    operation: Function = getattr(own, need) if isinstance(need, str) else need
    if cloud.supports(operation):
        return None
    return f"{cloud.driver.name} has no {OPERATIONS[operation].id}"


def require(cloud: Cloud, *asked: Need) -> None:
    """Skip the running test unless the cloud can serve all that is asked: for fixtures."""
    for need in asked:
        if reason := lacking(cloud, need):
            pytest.skip(reason)


def needs_of(test: Callable[..., Any]) -> tuple[Need, ...]:
    """Return what the marks on a test ask for, outermost first."""
    found: tuple[Need, ...] = getattr(test, NEEDS, ())
    return found


def _marking(asked: tuple[Need, ...]) -> Callable[[F], F]:
    def mark(test: F) -> F:
        setattr(test, NEEDS, (*asked, *needs_of(test)))
        return test

    return mark
