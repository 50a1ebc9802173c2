"""How an operation on the driver `nimbi` reaches the accounts that it is for."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from inspect import signature
from typing import TYPE_CHECKING, Any

from nimbi.broker.access import Caller, may, may_see
from nimbi.broker.fanout import fan_out
from nimbi.broker.ids import Inward, outward
from nimbi.broker.joining import joined, place_of
from nimbi.broker.lending import LentChunks, LentConsole
from nimbi.driver.capabilities import INTERFACES, Operation
from nimbi.driver.interface import Account
from nimbi.driver.states import StateMachine
from nimbi.gateway.audit import CLIENT
from nimbi.model.buckets import BlobContent
from nimbi.model.errors import (
    Forbidden,
    Invalid,
    NotFound,
    Throttled,
    Unauthorized,
    Unsupported,
)
from nimbi.model.images import ImageContent
from nimbi.model.page import Page
from nimbi.model.resource import NewResource

if TYPE_CHECKING:
    from nimbi.broker.site import Broker

ALL = "all"
KIND = "account"

EVERYTHING = frozenset(interface.name for interface in INTERFACES)

# What all accounts together may take for their part of one page.
PAGE_S = 45.0

Function = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One token at some accounts. `names` None is all that there are, whenever it is asked.

    `one` is the account when a single one was chosen: it is shown just as it is.
    """

    broker: "Broker"
    secret: str | None
    user: str
    names: tuple[str, ...] | None
    collections: frozenset[str] = EVERYTHING
    features: Mapping[str, frozenset[str]] = field(default_factory=dict)
    providers: dict[str, dict[str, str]] = field(default_factory=dict)
    states: StateMachine | None = None

    def __repr__(self) -> str:
        return f"Session({self.names!r})"

    @property
    def one(self) -> str | None:
        return self.names[0] if self.names is not None and len(self.names) == 1 else None

    @classmethod
    async def opened(cls, broker: "Broker", account: Account) -> "Session":
        """Return the session of a login. Without one, it tells what everybody may know.

        Raises Unauthorized for a wrong token, NotFound for an account that there is not, and what
        its cloud raises when it is the only one.
        """
        names = names_of(account.provider)
        login = account.credentials
        if login is None:
            return cls(broker=broker, secret=None, user="", names=names)
        session = cls(broker=broker, secret=login.password, user=login.user, names=names)
        caller = await session.caller(account.client)
        providers = await _providers(broker, caller)
        if session.one is None:
            return replace(session, providers=providers)
        if not may_see(caller, session.one):
            raise NotFound(f"there is no account {session.one!r}")
        with _Meaning(session.one):
            async with broker.use(caller, session.one) as cloud:
                found = {id.partition(".")[0] for id in cloud.operations}
                return replace(
                    session,
                    collections=frozenset(found),
                    features={each.name: cloud.features(each) for each in INTERFACES},
                    providers=providers,
                    states=cloud.instance_states,
                )

    async def caller(self, where: str | None) -> Caller:
        """Return who calls. Raises Unauthorized, also for one who has to wait."""
        if self.secret is None:
            raise Unauthorized("a user and a token as password are needed")
        try:
            return await self.broker.people.caller_of_basic(self.user, self.secret, where)
        except Throttled as error:
            # Which is not for the gateway to wait for.
            raise Unauthorized(f"{error.message}; wait {error.retry_after_s:g} s") from error

    async def perform(self, operation: Operation, arguments: dict[str, Any]) -> Any:
        """Return the answer to one operation, by the account that it is for."""
        caller = await self.caller(CLIENT.get())
        if self.one is not None:
            return await self._call(caller, self.one, operation, arguments)
        if next(iter(arguments)) == "marker":
            return await self._page(caller, operation, arguments)
        inward = Inward()
        is_within = operation.interface.name == "blobs"
        own = {
            name: inward.argument(name, value, is_within=is_within)
            for name, value in arguments.items()
        }
        if inward.account is None:
            own = {
                name: inward.wish(value) if isinstance(value, NewResource) else value
                for name, value in own.items()
            }
        account = inward.account
        if account is None or (self.names is not None and account not in self.names):
            raise NotFound(f"there is no account {account!r} in this provider")
        return outward(account, await self._call(caller, account, operation, own))

    async def _call(
        self, caller: Caller, account: str, operation: Operation, arguments: Mapping[str, Any]
    ) -> Any:
        async with AsyncExitStack() as stack:
            with _Meaning(account):
                cloud = await stack.enter_async_context(self.broker.use(caller, account))
                answer = await cloud.call(operation.function, *arguments.values())
            # The login has to stay open for as long as something comes of it.
            if isinstance(answer, BlobContent | ImageContent):
                return replace(answer, chunks=LentChunks(answer.chunks, stack.pop_all()))
            if operation.id == "instances.open_console":
                return LentConsole(answer, stack.pop_all())
            return answer

    async def _page(
        self, caller: Caller, operation: Operation, arguments: dict[str, Any]
    ) -> Page[Any]:
        """Return the next things of several accounts, in the order of the accounts' names.

        Each is asked for a page at once, and those at the front that fit together are given.
        """
        names = await self._named(caller, operation)
        at, inner = place_of(arguments["marker"])
        inward = Inward()
        where = {
            name: inward.argument(name, value, is_within=False)
            for name, value in arguments.items()
            if name not in {"marker", "limit"}
        }
        names = [name for name in names if name >= at and inward.account in (None, name)]
        jobs = {
            name: partial(
                self._first,
                caller,
                name,
                operation,
                {
                    "marker": inner if name == at else None,
                    "limit": arguments["limit"],
                    **where,
                },
            )
            for name in names
        }
        found = dict([pair async for pair in fan_out(jobs, PAGE_S)]) if jobs else {}
        return joined({name: found[name] for name in names}, arguments["limit"])

    async def _first(
        self, caller: Caller, account: str, operation: Operation, arguments: dict[str, Any]
    ) -> Page[Any]:
        try:
            page: Page[Any] = await self._call(caller, account, operation, arguments)
        except Unsupported as error:
            if error.capability != operation.id:
                raise
            # A cloud that has no such things at all has none to tell of.
            return Page(())
        return page

    async def _named(self, caller: Caller, operation: Operation) -> list[str]:
        """Return the accounts of a list: of those that were not named, what the caller may."""
        accounts = await self.broker.accounts.all()
        if self.names is not None:
            known = {account.id for account in accounts}
            for name in self.names:
                if name not in known or not may_see(caller, name):
                    raise NotFound(f"there is no account {name!r}")
            return sorted(self.names)
        return [a.id for a in accounts if a.is_enabled and may(caller, operation.id, a.id)]


def forwarded(operation: Operation) -> Function:
    """Return the method of a collection that forwards one operation."""
    parameters = signature(operation.function)

    @wraps(operation.function)
    async def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = parameters.bind(self, *args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        del arguments["self"]
        return await self.session.perform(operation, arguments)

    return forward


def names_of(provider: str | None) -> tuple[str, ...] | None:
    """Return the accounts that a provider names, None for all. Raises Invalid for none."""
    if provider is None or provider.strip().lower() in ("", ALL):
        return None
    names = tuple(dict.fromkeys(name.strip() for name in provider.split(",")))
    if "" in names:
        raise Invalid("a provider here is an account, several with commas, or all")
    return names


async def _providers(broker: "Broker", caller: Caller) -> dict[str, dict[str, str]]:
    seen = [account for account in await broker.accounts.all() if may_see(caller, account.id)]
    told = {account.id: f"{account.driver} {account.provider or ''}".strip() for account in seen}
    return {KIND: {ALL: "all accounts", **told}}


class _Meaning:
    """Says whose login it is that a cloud refuses: not that of the caller, whose token is good."""

    def __init__(self, account: str) -> None:
        self._account = account

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Unauthorized):
            words = f"account {self._account}: its cloud refuses the stored login"
            raise Forbidden(f"{words}: {error.message}") from error
