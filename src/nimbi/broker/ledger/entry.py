"""One call to a cloud, as those see it who write down what it makes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any, Protocol

from nimbi.broker.access import Caller
from nimbi.broker.limits import Limits
from nimbi.broker.sizing import Sizing
from nimbi.gateway.shape import Shape
from nimbi.model.errors import CloudError, Timeout, UnknownOutcome
from nimbi.store.database import Database
from nimbi.store.holdings import Holder, HoldingStore
from nimbi.store.intents import IntentStore
from nimbi.store.quotas import Path

# After these nobody knows whether a thing was made.
PERHAPS_MADE = (Timeout, UnknownOutcome)


class Stores(Protocol):
    """What entries are written with."""

    @property
    def database(self) -> Database: ...
    @property
    def intents(self) -> IntentStore: ...
    @property
    def holdings(self) -> HoldingStore: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def sizing(self) -> Sizing: ...


@dataclass(frozen=True)
class Call:
    """A call of one operation; `due_s` is when its answer is due, `fetch` asks the same cloud."""

    stores: Stores
    caller: Caller
    account: str
    operation: Callable[..., Awaitable[Any]]
    shape: Shape
    args: tuple[Any, ...]
    named: dict[str, Any]
    due_s: float
    fetch: Callable[..., Awaitable[Any]]

    @cached_property
    def given(self) -> dict[str, Any]:
        """The arguments by their names."""
        bound = signature(self.operation).bind(None, *self.args, **self.named)
        return dict(list(bound.arguments.items())[1:])

    @property
    def holder(self) -> Holder:
        """Who gets what the call makes."""
        return Holder(self.caller.user, Path(self.caller.path))


class Entry:
    """What is written down of a call: nothing, where there is nothing to write."""

    def __init__(self, call: Call) -> None:
        self.call = call
        # Whether an attempt before this one may have made what this one was refused.
        self.is_doubtful = False

    async def done(self, answer: Any) -> None:
        """Say that the cloud has done it."""

    async def failed(self, error: BaseException) -> None:
        """Say that it was not done, or (see `is_sure`) perhaps not."""


def is_sure(error: BaseException) -> bool:
    """Return whether surely nothing came of a call that ended so."""
    return isinstance(error, CloudError) and not isinstance(error, PERHAPS_MADE)
