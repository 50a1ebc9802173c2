"""Stored logins, opened: an account's credentials in memory, and the session that they give."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import msgspec

from nimbi.broker.credentials import kept, restored
from nimbi.broker.destinations import Destinations
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import AnyDriver, Registry
from nimbi.model.accounts import Account, Health
from nimbi.model.errors import CloudError, Conflict, Invalid, NotFound, Timeout
from nimbi.store.accounts import AccountStore, bound_to
from nimbi.store.errors import SealError, UnknownKey
from nimbi.store.sealing import Keyring, Sealed
from nimbi.wire.destinations import Reach

# How old may be what this process knows of an account that another one changed.
AGE_S = 2.0
# How long a cloud may take to say whether a login is right.
TEST_S = 30.0

# The driver that shows accounts; an account of it would lead to itself.
OURS = "nimbi"


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """An account, ready to be opened by `lease`. `read_at` is a time of the monotonic clock."""

    account: Account
    credentials: Any | None
    lease: Callable[[], AbstractAsyncContextManager[Cloud]]
    read_at: float


class Logins:
    """The logins of all accounts; those in use are kept in memory, and nowhere else in plain."""

    def __init__(
        self,
        store: AccountStore,
        keyring: Keyring,
        clouds: Clouds,
        registry: Registry,
        destinations: Destinations,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._clouds = clouds
        self._registry = registry
        self._destinations = destinations
        self._known: dict[str, Login] = {}

    async def of(self, id: str) -> Login:
        """Return an enabled account with its login, 2 seconds old at most.

        Raises NotFound, Conflict for one that is disabled, CloudError for one that no key opens.
        """
        known = self._known.get(id)
        if known is None or time.monotonic() - known.read_at >= AGE_S:
            known = await self._renewed(id, known)
        if not known.account.is_enabled:
            raise Conflict(f"account {id!r} is disabled")
        return known

    async def read(self, id: str) -> Login:
        """Return an account with its login as they are now, enabled or not."""
        now = time.monotonic()
        account, sealed = await self._store.with_credentials(id)
        credentials = await self.opened(account, sealed)
        reach = self.reach(account)
        lease = self._clouds.login(account.driver, account.provider, credentials, reach)
        login = self._known[id] = Login(account, credentials, lease, now)
        return login

    def use(self, id: str) -> AbstractAsyncContextManager[Cloud]:
        """Return an account's cloud to use in `async with`."""
        return _Use(self, id)

    def driver(self, name: str) -> AnyDriver:
        """Return the driver of an account. Raises Invalid for what can be none."""
        if name == OURS:
            raise Invalid(f"the driver {OURS} shows accounts, and has none of its own")
        return self._registry.driver(name)

    def reach(self, account: Account) -> Reach:
        """Return how far the requests of an account may go."""
        driver = self.driver(account.driver)
        return self._destinations.reach_of(driver, account.provider, own_login=account.own_login)

    def sealed(self, id: str, credentials: Any) -> Sealed:
        """Return credentials as they are stored for an account."""
        return self._keyring.seal(kept(credentials), bound_to(id))

    async def opened(self, account: Account, sealed: Sealed | None) -> Any | None:
        """Return the credentials of an account. Raises CloudError when no key opens them."""
        if sealed is None:
            return self._clouds.own_login(account.driver) if account.own_login else None
        try:
            try:
                plain = self._keyring.open(sealed, bound_to(account.id))
            except UnknownKey:
                # Another process may have sealed it by a key that is younger than this process.
                await self._keyring.refresh()
                plain = self._keyring.open(sealed, bound_to(account.id))
        except SealError as error:
            raise CloudError(f"the login of account {account.id!r}: {error}") from error
        return restored(self.driver(account.driver), plain)

    async def ask(self, account: Account, credentials: Any | None) -> None:
        """Ask an account's cloud whether a login is right. Raises what it says."""
        reach = self.reach(account)
        try:
            async with asyncio.timeout(TEST_S):
                use = self._clouds.use(account.driver, account.provider, credentials, reach)
                async with use as cloud:
                    await cloud.verify()
        except TimeoutError as error:
            raise Timeout(f"{account.driver} gave no answer within {TEST_S:g} s") from error

    def account(self, id: str) -> Account | None:
        """Return an account as it was when its login was used last, None when that was never."""
        known = self._known.get(id)
        return None if known is None else known.account

    def keep_health(self, id: str, health: Health) -> None:
        """Take note of an account's health."""
        known = self._known.get(id)
        if known is not None:
            account = msgspec.structs.replace(known.account, health=health)
            self._known[id] = replace(known, account=account)

    def forget(self, id: str) -> None:
        """Read an account anew at its next use."""
        self._known.pop(id, None)

    async def _renewed(self, id: str, known: Login | None) -> Login:
        if known is None:
            return await self.read(id)
        now = time.monotonic()
        try:
            account = await self._store.get(id)
        except NotFound:
            self.forget(id)
            raise
        old = known.account
        if (account.version, account.created_at) != (old.version, old.created_at):
            return await self.read(id)
        login = self._known[id] = replace(known, account=account, read_at=now)
        return login


class _Use:
    """One use of an account's cloud."""

    __slots__ = ("_id", "_lease", "_logins")

    def __init__(self, logins: Logins, id: str) -> None:
        self._logins = logins
        self._id = id
        self._lease: AbstractAsyncContextManager[Cloud] | None = None

    async def __aenter__(self) -> Cloud:
        login = await self._logins.of(self._id)
        lease = login.lease()
        cloud = await lease.__aenter__()
        self._lease = lease
        return cloud

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lease is not None:
            await self._lease.__aexit__(kind, error, trace)
