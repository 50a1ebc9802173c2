"""Collections as attributes of a cloud: `cloud.instances.create(new)`."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar, cast

from nimbi.driver.capabilities import BY_ID
from nimbi.driver.operation import Collection

C = TypeVar("C", bound=Collection)


class Caller(Protocol):
    """Calls operations: a Cloud."""

    def features(self, interface: type[Collection]) -> frozenset[str]: ...

    def call(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]: ...


class Bound(Generic[C]):
    """Descriptor of a collection.

    What it gives has the type of the interface; each operation of it is `cloud.call` of the same.
    """

    def __init__(self, interface: type[C]) -> None:
        self._interface = interface

    def __get__(self, caller: Caller, owner: object = None) -> C:
        return cast("C", _Calls(caller, self._interface))


class _Calls:
    def __init__(self, caller: Caller, interface: type[Collection]) -> None:
        self._caller = caller
        self._interface = interface
        self.name = interface.name

    @property
    def features(self) -> frozenset[str]:
        return self._caller.features(self._interface)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        operation = BY_ID.get(f"{self._interface.name}.{name}")
        if operation is None:
            raise AttributeError(f"{self._interface.name} has no operation {name!r}")
        return partial(self._caller.call, operation.function)
