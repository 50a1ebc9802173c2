"""Which operations there are, and which of them a driver supports: the one source of truth."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Keys, Metrics, Quotas, Realms
from nimbi.driver.interface import Driver
from nimbi.driver.network import (
    Addresses,
    Firewalls,
    LoadBalancers,
    NetworkInterfaces,
    Networks,
    Routers,
    Subnets,
)
from nimbi.driver.operation import EFFECT, REPEATABLE, SAFE, Collection
from nimbi.driver.storage import Snapshots, Volumes

Function = Callable[..., Awaitable[Any]]

INTERFACES: tuple[type[Collection], ...] = (
    Realms,
    HardwareProfiles,
    Images,
    Instances,
    Keys,
    Firewalls,
    Addresses,
    Networks,
    Subnets,
    Routers,
    NetworkInterfaces,
    LoadBalancers,
    Volumes,
    Snapshots,
    Buckets,
    Blobs,
    Metrics,
    Quotas,
)


@dataclass(frozen=True)
class Operation:
    """One verb of the API: `instances.create`. `text` is the first line of its contract."""

    id: str
    interface: type[Collection]
    function: Function
    text: str

    @property
    def is_safe(self) -> bool:
        """Whether it only reads."""
        return getattr(self.function, EFFECT, None) == SAFE

    @property
    def is_repeatable(self) -> bool:
        """Whether a second call has no further effect."""
        return getattr(self.function, EFFECT, None) in {SAFE, REPEATABLE}


def _operations_of(interface: type[Collection]) -> list[Operation]:
    return [
        Operation(
            f"{interface.name}.{name}",
            interface,
            function,
            (inspect.getdoc(function) or "").partition("\n")[0],
        )
        for name, function in vars(interface).items()
        if inspect.iscoroutinefunction(function) and not name.startswith("_")
    ]


OPERATIONS: dict[Function, Operation] = {
    operation.function: operation
    for interface in INTERFACES
    for operation in _operations_of(interface)
}
BY_ID: dict[str, Operation] = {operation.id: operation for operation in OPERATIONS.values()}


def interface_of(collection: type[Collection]) -> type[Collection]:
    """Return the interface that a driver's collection class implements."""
    return next(i for i in INTERFACES if issubclass(collection, i))


def collection_classes(driver: Driver[Any, Any]) -> dict[type[Collection], type[Collection]]:
    """Return the driver's collection classes by interface."""
    classes = [c for c in driver.collections if isinstance(c, type) and issubclass(c, Collection)]
    return {interface_of(c): c for c in classes}


def supported(driver: Driver[Any, Any]) -> frozenset[str]:
    """Return the ids of the operations that the driver overrides, such as `instances.start`."""
    classes = collection_classes(driver)
    return frozenset(
        operation.id
        for operation in OPERATIONS.values()
        if operation.interface in classes
        and getattr(classes[operation.interface], operation.id.partition(".")[2])
        is not operation.function
    )


def features(driver: Driver[Any, Any], interface: type[Collection]) -> frozenset[str]:
    """Return the names of the features that the driver honours in one collection."""
    found = collection_classes(driver).get(interface)
    return found.features if found else frozenset()
