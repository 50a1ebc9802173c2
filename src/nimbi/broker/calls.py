"""An account's cloud for one caller: what may be done is checked, and what was done is told."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec

from nimbi.broker.access import Caller, check
from nimbi.broker.accounts import Accounts
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.shape import Shape, shape_of
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Throttled,
    Timeout,
    Unauthorized,
    UnknownOutcome,
)
from nimbi.model.resource import NewResource
from nimbi.store.intents import IntentStore

P = ParamSpec("P")
T = TypeVar("T")

# What makes one thing, or several, that cost money until somebody removes them.
MAKING = frozenset({"create", "create_many"})

# After these nobody knows whether a thing was made.
PERHAPS_MADE = (Timeout, UnknownOutcome)

# What says more of the account than of the call.
OF_ACCOUNT = (Unauthorized, CloudUnavailable, Timeout)

# What a call may take beyond its deadline until its end is written down.
LATE_S = 30.0

log = logging.getLogger(__name__)


class Told(Protocol):
    """The inventory, as far as calls tell it something."""

    def calling(self, account: str) -> Any: ...

    async def changed(
        self, account: str, operation: str, arguments: tuple[Any, ...] = (), answer: Any = None
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What calls work with. `holder` names this process in the database."""

    accounts: Accounts
    clouds: Clouds
    intents: IntentStore
    inventory: Told
    holder: str


class AccountCloud(Cloud):
    """A cloud that does only what its caller may, and tells the inventory what it did.

    Raises Forbidden for the rest. What is about to be made is written down before the cloud is
    asked, so that nothing is made of which nobody knows.
    """

    def __init__(self, cloud: Cloud, ground: Ground, caller: Caller, account: str) -> None:
        # It is the same login in every respect; only `call` differs.
        self.__dict__.update(cloud.__dict__)
        self._ground = ground
        self._caller = caller
        self._account = account

    async def call(
        self,
        operation: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return the answer to one operation, as `Cloud.call` does."""
        shape = shape_of(operation)
        check(self._caller, shape.id, self._account)
        try:
            with self._ground.inventory.calling(self._account):
                if not shape.changes:
                    return await super().call(operation, *args, **kwargs)
                if shape.name in MAKING and shape.requests:
                    answer = await self._make(operation, shape, args, kwargs)
                else:
                    answer = await super().call(operation, *args, **kwargs)
        except OF_ACCOUNT as error:
            await self._quietly(self._ground.accounts.observe(self._account, error))
            raise
        told = self._ground.inventory.changed(self._account, shape.id, args, answer)
        await self._quietly(told)
        found: T = answer
        return found

    async def _make(
        self,
        operation: Callable[..., Awaitable[Any]],
        shape: Shape,
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Make something, written down before and after."""
        args, named, new = _with_token(shape, args, named)
        if new is None or new.token is None:
            return await super().call(operation, *args, **named)
        intents, account, token = self._ground.intents, self._account, new.token
        due_s = self._ground.clouds.limits(self.driver.name).deadline(shape.id) + LATE_S
        is_ours = await intents.write(
            account,
            token,
            shape.id,
            datetime.now(UTC),
            # Who has the same token has the same request, come again after a process died: its
            # Idempotency-Key lets in one at a time, and the cloud makes one thing of a token.
            holder=token,
            seconds=due_s,
            name=getattr(new, "name", None),
        )
        if not is_ours:
            raise Throttled("what became of the request before is being looked at", LATE_S)
        try:
            answer = await super().call(operation, *args, **named)
        except BaseException as error:
            is_sure = isinstance(error, CloudError) and not isinstance(error, PERHAPS_MADE)
            end = intents.failed if is_sure else intents.unknown
            await self._quietly(asyncio.shield(end(account, token)))
            raise
        made = answer if isinstance(answer, tuple) else (answer,)
        await self._quietly(intents.done(account, token, *(one.id for one in made)))
        return answer

    async def _quietly(self, telling: Awaitable[None]) -> None:
        # The cloud has done its part: an error here must not have the caller do it again.
        try:
            await telling
        except CloudError:
            log.warning("what became of a call could not be kept", exc_info=True)


class AccountUse:
    """One use of an account's cloud by one caller, for `async with`."""

    __slots__ = ("_account", "_caller", "_ground", "_use")

    def __init__(self, ground: Ground, caller: Caller, account: str) -> None:
        self._ground = ground
        self._caller = caller
        self._account = account
        self._use: AbstractAsyncContextManager[Cloud] | None = None

    async def __aenter__(self) -> Cloud:
        use = self._ground.accounts.use(self._account)
        try:
            cloud = await use.__aenter__()
        except OF_ACCOUNT as error:
            with suppress(CloudError):
                await self._ground.accounts.observe(self._account, error)
            raise
        self._use = use
        return AccountCloud(cloud, self._ground, self._caller, self._account)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._use is not None:
            await self._use.__aexit__(kind, error, trace)


def _with_token(
    shape: Shape, args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], NewResource | None]:
    """Return the arguments with a token in the wish, and the wish."""
    parameter = shape.requests[0]
    is_named = parameter.at >= len(args)
    wish = named.get(parameter.name) if is_named else args[parameter.at]
    if not isinstance(wish, NewResource):
        return args, named, None
    if wish.token is None:
        wish = msgspec.structs.replace(wish, token=str(uuid.uuid4()))
    if is_named:
        return args, {**named, parameter.name: wish}, wish
    return (*args[: parameter.at], wish, *args[parameter.at + 1 :]), named, wish
