"""An account's cloud for one caller: what may be done is checked, and what was done is told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from nimbi.broker.access import Caller, check
from nimbi.broker.accounts import Accounts
from nimbi.broker.ledger import blobs
from nimbi.broker.ledger.changing import RESIZING, Removing, Resizing
from nimbi.broker.ledger.entry import Call, Entry, is_sure
from nimbi.broker.ledger.making import Making, Uploading, with_token
from nimbi.broker.limits import Limits
from nimbi.broker.sizing import Sizing
from nimbi.broker.tenancy import OF_OTHERS, tenancy_of
from nimbi.gateway.audit import CANCELLED
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.shape import Shape, shape_of
from nimbi.model.audit import OK
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    Forbidden,
    NotFound,
    QuotaExceeded,
    Timeout,
    Unauthorized,
    UnknownOutcome,
)
from nimbi.model.people import ROOT
from nimbi.model.resource import Resource
from nimbi.store.database import Database
from nimbi.store.holdings import HoldingStore
from nimbi.store.intents import IntentStore

P = ParamSpec("P")
T = TypeVar("T")

# What makes one thing, or several, that cost money until somebody removes them.
MAKING = frozenset({"create", "create_many"})

# What says more of the account than of the call.
OF_ACCOUNT = (Unauthorized, CloudUnavailable, Timeout)

# What a caller is refused before the cloud is asked.
REFUSED = (Forbidden, QuotaExceeded)

# What a call may take beyond its deadline until its end is written down.
LATE_S = 30.0

log = logging.getLogger(__name__)


class Told(Protocol):
    """The inventory, as far as calls tell it something."""

    def calling(self, account: str) -> Any: ...

    async def changed(
        self, account: str, operation: str, arguments: tuple[Any, ...] = (), answer: Any = None
    ) -> None: ...

    async def doubted(self, account: str, operation: str) -> None: ...


class Audited(Protocol):
    """The audit, as far as calls tell it something."""

    async def begun(
        self,
        caller: Caller,
        operation: str,
        *,
        account: str | None = None,
        thing: str | None = None,
        owners: tuple[str, ...] | None = None,
    ) -> int: ...

    async def ended(self, id: int, result: str = OK, thing: str | None = None) -> None: ...

    async def told(
        self,
        caller: Caller,
        operation: str,
        result: str = OK,
        *,
        account: str | None = None,
        thing: str | None = None,
        owners: tuple[str, ...] | None = None,
    ) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What calls work with. `holder` names this process in the database."""

    accounts: Accounts
    clouds: Clouds
    database: Database
    intents: IntentStore
    holdings: HoldingStore
    limits: Limits
    sizing: Sizing
    audit: Audited
    inventory: Told
    holder: str


class AccountCloud(Cloud):
    """A cloud that does only what its caller may, and tells the inventory what it did.

    Raises Forbidden for the rest, NotFound for what is another tenant's, QuotaExceeded for what is
    too much. What is about to be made is written down before the cloud is asked, so that nothing is
    made of which nobody knows, or which nobody counts; and so is who does it.
    """

    def __init__(self, cloud: Cloud, ground: Ground, caller: Caller, account: str) -> None:
        # It is the same login in every respect; only `call` differs.
        self.__dict__.update(cloud.__dict__)
        self._ground = ground
        self._caller = caller
        self._account = account
        self._tenancy = tenancy_of(ground.holdings, caller, account)

    async def call(
        self,
        operation: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return the answer to one operation, as `Cloud.call` does."""
        shape, tenancy = shape_of(operation), self._tenancy
        try:
            check(self._caller, shape.id, self._account)
            if tenancy is not None:
                await tenancy.check(operation, shape, args, kwargs)
        except Forbidden as error:
            await self._quietly(self._refused(shape, args, kwargs, error))
            raise
        try:
            with self._ground.inventory.calling(self._account):
                if not shape.changes:
                    answer = await super().call(operation, *args, **kwargs)
                    return answer if tenancy is None else await tenancy.shown(shape, answer)
                answer = await self._change(operation, shape, args, kwargs)
        except OF_ACCOUNT as error:
            await self._quietly(self._ground.accounts.observe(self._account, error))
            raise
        except NotFound:
            if shape.name == "destroy":
                # It went when nobody could tell: by hand, or by a process that died.
                gone = self._ground.inventory.changed(self._account, shape.id, args)
                await self._quietly(gone)
            raise
        told = self._ground.inventory.changed(self._account, shape.id, args, answer)
        await self._quietly(told)
        return answer

    async def rehearse(
        self,
        operation: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Raise what `call` would, as `Cloud.rehearse` does: for rights, limits and quotas too."""
        shape, tenancy = shape_of(operation), self._tenancy
        check(self._caller, shape.id, self._account)
        if tenancy is not None:
            await tenancy.check(operation, shape, args, kwargs)
        await super().rehearse(operation, *args, **kwargs)
        if shape.name in MAKING and shape.requests:
            call, wish = with_token(self._call_of(operation, shape, args, kwargs))
            if wish is not None:
                await Making.rehearsed(call, wish)

    def _call_of(
        self,
        operation: Callable[..., Awaitable[Any]],
        shape: Shape,
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Call:
        limits = self._ground.clouds.limits(self.driver.name)
        return Call(
            stores=self._ground,
            caller=self._caller,
            account=self._account,
            operation=operation,
            shape=shape,
            args=args,
            named=named,
            due_s=limits.deadline(shape.id) + LATE_S,
            fetch=super().call,
        )

    async def _change(
        self,
        operation: Callable[..., Awaitable[Any]],
        shape: Shape,
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """Change something: in the ledger before and after, and in the audit between."""
        audit, call = self._ground.audit, self._call_of(operation, shape, args, named)
        try:
            entry = await _entry(call)
        except REFUSED as error:
            await self._quietly(self._refused(shape, args, named, error))
            raise
        call, audited = entry.call, None
        try:
            told = await self._told(shape, call.args, call.named)
            audited = await audit.begun(self._caller, shape.id, **told)
            answer = await super().call(operation, *call.args, **call.named)
        except BaseException as error:
            await self._quietly(asyncio.shield(self._failed(entry, audited, error)))
            if entry.is_doubtful and isinstance(error, CloudError):
                raise UnknownOutcome(
                    f"what was asked for may have been made before this: {error.message}"
                ) from error
            raise
        await self._quietly(asyncio.shield(self._done(entry, audited, answer)))
        return answer

    async def _done(self, entry: Entry, audited: int, answer: Any) -> None:
        await self._quietly(entry.done(answer))
        await self._ground.audit.ended(audited, OK, _made(answer))

    async def _failed(self, entry: Entry, audited: int | None, error: BaseException) -> None:
        if audited is None and not isinstance(error, CloudError):
            # The cloud was not asked: whoever was about to was stopped before.
            error = CloudUnavailable("the call was given up")
        await self._quietly(entry.failed(error))
        if audited is not None:
            code = error.code if isinstance(error, CloudError) else CANCELLED
            await self._ground.audit.ended(audited, code)
            if _is_in_doubt(error):
                doubt = self._ground.inventory.doubted(self._account, entry.call.shape.id)
                await self._quietly(doubt)

    async def _refused(
        self, shape: Shape, args: tuple[Any, ...], named: dict[str, Any], error: CloudError
    ) -> None:
        told = await self._told(shape, args, named)
        await self._ground.audit.told(self._caller, shape.id, error.code, **told)

    async def _told(
        self, shape: Shape, args: tuple[Any, ...], named: dict[str, Any]
    ) -> dict[str, Any]:
        """Return what the audit is told of a call: whose thing it is about, whoever calls."""
        told: dict[str, Any] = {"account": self._account, "thing": _thing(args)}
        collection = OF_OTHERS.get(shape.interface, shape.interface)
        if (id := _held_id(shape, args, named)) is not None:
            path = await self._ground.holdings.path_of(self._account, collection, id)
            told["owners"] = None if path is None else path.tenants
        return told

    async def _quietly(self, telling: Awaitable[Any]) -> None:
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


async def _entry(call: Call) -> Entry:
    """Return what is to be written down of a call; what must be before it is written already."""
    shape = call.shape
    if shape.interface == "blobs":
        return await _entry_of_blobs(call)
    if shape.name in MAKING and shape.requests:
        return await Making.begun(call)
    if shape.id in RESIZING:
        return await Resizing.begun(call)
    if shape.name == "destroy":
        return Removing(call)
    return Uploading(call) if shape.name == "upload" else Entry(call)


async def _entry_of_blobs(call: Call) -> Entry:
    if call.caller.tenant == ROOT:
        return Entry(call)
    if call.shape.id in blobs.WRITING:
        return await blobs.Writing.begun(call)
    return blobs.Emptying(call) if call.shape.id in blobs.REMOVING else Entry(call)


def _is_in_doubt(error: BaseException) -> bool:
    """Return whether the cloud may be another than we know of, after a call that ended so."""
    # Whoever is told of a conflict, or of nothing, knows less than the cloud.
    return isinstance(error, Conflict | NotFound) or not is_sure(error)


def _thing(args: tuple[Any, ...]) -> str | None:
    """Return the id of what a call is about, the name of what it is about to make."""
    first = args[0] if args else None
    if isinstance(first, str):
        return first
    name = getattr(first, "name", None)
    return name if isinstance(name, str) else None


def _held_id(shape: Shape, args: tuple[Any, ...], named: dict[str, Any]) -> str | None:
    """Return under which id what a call is about is held; None for what is to be made."""
    if shape.interface == "blobs":
        # The bucket, and the blob in it: a call of several tells of none alone.
        return "/".join(args[:2]) if len(args) > 1 and _are_text(args[:2]) else None
    id = args[0] if args else named.get("id")
    return id if isinstance(id, str) else None


def _are_text(args: tuple[Any, ...]) -> bool:
    return all(isinstance(each, str) for each in args)


def _made(answer: Any) -> str | None:
    """Return the id of what an answer tells, of several the first."""
    one = answer[0] if isinstance(answer, tuple) and answer else answer
    return one.id if isinstance(one, Resource) else None
