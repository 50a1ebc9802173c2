"""Accounts: stored logins, and the clouds that they open."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nimbi.broker.credentials import credentials_of
from nimbi.broker.destinations import Destinations
from nimbi.broker.logins import AGE_S, Logins
from nimbi.broker.terms import check_name, check_provider, check_same_place, check_tags
from nimbi.driver.capabilities import INTERFACES
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import AnyDriver, Registry
from nimbi.model.accounts import (
    Account,
    AccountChange,
    Health,
    HealthState,
    NewAccount,
    Problem,
)
from nimbi.model.errors import CloudError, Conflict, Invalid, NotFound, Unauthorized
from nimbi.model.people import ROOT
from nimbi.store.accounts import AccountStore
from nimbi.store.sealing import Keyring

# How often the time is kept at which a cloud was seen to be well.
SEEN_EVERY = timedelta(seconds=30)

# Tells what depends on an account, for people: `the webhook a1b2`.
Dependants = Callable[[str], Awaitable[Sequence[str]]]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's login can do: ids of operations, and features by collection."""

    operations: tuple[str, ...]
    features: Mapping[str, tuple[str, ...]]


class Accounts:
    """All stored logins. What other processes change is known here 2 seconds later at most."""

    def __init__(
        self,
        store: AccountStore,
        keyring: Keyring,
        clouds: Clouds,
        registry: Registry,
        destinations: Destinations,
        dependants: Sequence[Dependants] = (),
    ) -> None:
        self._store = store
        self._logins = Logins(store, keyring, clouds, registry, destinations)
        self._destinations = destinations
        self._dependants = dependants
        self._all: tuple[Account, ...] = ()
        self._all_until = 0.0

    async def all(self) -> tuple[Account, ...]:
        """Return all accounts, by name; at most 2 seconds old."""
        if time.monotonic() >= self._all_until:
            self._all = await self._store.all()
            self._all_until = time.monotonic() + AGE_S
        return self._all

    async def get(self, id: str) -> Account:
        """Return one account as it is now. Raises NotFound."""
        return await self._store.get(id)

    async def create(
        self, new: NewAccount, *, test: bool = True, dry_run: bool = False, tenant: str = ROOT
    ) -> Account:
        """Keep a login, sealed, once its cloud has taken it. With `dry_run`, only check all that.

        `test` False keeps it unasked. Raises Conflict for a name in use, Invalid for a login that
        the driver cannot read or the cloud refuses, Forbidden for an address that accounts must not
        name, and what the cloud raises when it gives no answer.
        """
        new.check()
        check_name(new.id)
        check_tags(new.tags)
        driver = self._logins.driver(new.driver)
        await self._check_unused(new.id)
        await self._check_provider(driver, new.provider, own_login=new.own_login)
        credentials = None if new.own_login else credentials_of(driver, new.credentials or {})
        now = datetime.now(UTC)
        account = Account(
            id=new.id,
            driver=new.driver,
            provider=new.provider,
            own_login=new.own_login,
            is_enabled=True,
            tags=new.tags,
            created_at=now,
            changed_at=now,
            version=1,
            tenant=tenant,
        )
        if test:
            account = await self._tested(account, credentials)
        if dry_run:
            return account
        sealed = None if credentials is None else self._logins.sealed(account.id, credentials)
        made = await self._store.add(account, sealed)
        self._forget(made.id)
        return made

    async def change(
        self,
        id: str,
        change: AccountChange,
        *,
        version: int | None = None,
        test: bool = True,
        dry_run: bool = False,
    ) -> Account:
        """Return the account as it is now. Another login or provider is tested as in `create`.

        Raises Conflict when `version` is told and it has another one, and what `create` raises.
        """
        old, sealed = await self._store.with_credentials(id)
        if version is not None and version != old.version:
            raise Conflict(f"account {id!r} was changed meanwhile; read it again")
        new, credentials = self._changed(old, change)
        check_tags(new.tags)
        is_other_login = change.credentials is not msgspec.UNSET or new.provider != old.provider
        health: Health | msgspec.UnsetType = msgspec.UNSET
        if is_other_login:
            driver = self._logins.driver(new.driver)
            await self._check_provider(driver, new.provider, own_login=new.own_login)
            if credentials is None and not new.own_login:
                check_same_place(driver, old.provider, new.provider)
            health = Health()
            if test:
                login = credentials or await self._logins.opened(new, sealed)
                health = (await self._tested(new, login)).health
        if dry_run:
            return new
        changed = await self._store.change(
            id,
            old.version if version is None and is_other_login else version,
            provider=change.provider,
            is_enabled=change.is_enabled,
            tags=change.tags,
            credentials=self._logins.sealed(id, credentials) if credentials else msgspec.UNSET,
            health=health,
        )
        self._forget(id)
        return changed

    async def destroy(
        self,
        id: str,
        *,
        version: int | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> None:
        """Forget a login; nothing changes in its cloud.

        Raises Conflict, unless `force`, while things depend on it: work under way, webhooks that
        name it, things that Nimbi made there; NotFound.
        """
        account = await self._store.get(id)
        if version is not None and version != account.version:
            raise Conflict(f"account {id!r} was changed meanwhile; read it again")
        if not force:
            found = [one for dependants in self._dependants for one in await dependants(id)]
            if found:
                among = ", ".join(found)
                raise Conflict(
                    f"things depend on account {id!r}, which `force` forgets all the same: {among}"
                )
        if not dry_run:
            await self._store.remove(id)
            self._forget(id)

    async def test(self, id: str) -> Account:
        """Ask the cloud whether the login is right, and return the account with what it said.

        Does not raise what the cloud says: that is in `health.problem`.
        """
        account = await self._store.get(id)
        try:
            login = await self._logins.read(id)
            await self._logins.ask(login.account, login.credentials)
        except NotFound:
            raise
        except CloudError as error:
            await self._keep_health(account, error)
        else:
            await self._keep_health(account, None)
        return await self._store.get(id)

    async def observe(self, id: str, error: CloudError | None) -> None:
        """Take note of how a call to an account's cloud went, when that is news."""
        account = self._logins.account(id) or await self._store.get(id)
        before = account.health
        is_same = before.problem == (Problem.of(error) if error is not None else None)
        is_known = before.state is not HealthState.UNKNOWN and is_same
        if is_known and before.checked_at and datetime.now(UTC) - before.checked_at < SEEN_EVERY:
            return
        await self._keep_health(account, error)

    def use(self, id: str) -> AbstractAsyncContextManager[Cloud]:
        """Return the account's cloud to use in `async with`, as `Clouds.use` does.

        Quick: the login is kept open, and looked at anew every 2 seconds at most. Raises NotFound,
        Conflict for one that is disabled.
        """
        return self._logins.use(id)

    async def capabilities(self, id: str) -> Capabilities:
        """Return what the account's login can do. Raises what opening it raises."""
        async with self.use(id) as cloud:
            features = {
                interface.name: tuple(sorted(cloud.features(interface)))
                for interface in INTERFACES
                if cloud.features(interface)
            }
            return Capabilities(operations=tuple(sorted(cloud.operations)), features=features)

    async def _check_provider(
        self, driver: AnyDriver, provider: str | None, *, own_login: bool
    ) -> None:
        check_provider(provider)
        await self._destinations.check_provider(driver, provider, own_login=own_login)

    async def _check_unused(self, id: str) -> None:
        try:
            await self._store.get(id)
        except NotFound:
            return
        raise Conflict(f"there is an account {id!r} already")

    def _changed(self, old: Account, change: AccountChange) -> tuple[Account, Any | None]:
        """Return the account as it would be, and its new credentials if it gets any."""
        new = msgspec.structs.replace(
            old,
            provider=old.provider if change.provider is msgspec.UNSET else change.provider,
            is_enabled=old.is_enabled if change.is_enabled is msgspec.UNSET else change.is_enabled,
            tags=old.tags if change.tags is msgspec.UNSET else change.tags,
        )
        if change.credentials is msgspec.UNSET:
            return new, None
        credentials = credentials_of(self._logins.driver(old.driver), change.credentials)
        return msgspec.structs.replace(new, own_login=False), credentials

    async def _tested(self, account: Account, credentials: Any | None) -> Account:
        """Return an account that its cloud has taken. Raises Invalid when the cloud refuses it."""
        if credentials is None:
            credentials = await self._logins.opened(account, None)
        try:
            await self._logins.ask(account, credentials)
        except Unauthorized as error:
            # It is not the caller who is unknown, but the login in the request.
            raise Invalid(f"{account.driver} refuses this login: {error.message}") from error
        now = datetime.now(UTC)
        health = Health(state=HealthState.OK, since=now, checked_at=now)
        return msgspec.structs.replace(account, health=health)

    async def _keep_health(self, account: Account, error: CloudError | None) -> None:
        now = datetime.now(UTC)
        state = HealthState.OK if error is None else HealthState.FAILED
        before = account.health
        health = Health(
            state=state,
            since=before.since if before.state is state else now,
            checked_at=now,
            problem=None if error is None else Problem.of(error),
        )
        await self._store.set_health(account.id, health)
        self._logins.keep_health(account.id, health)
        self._all_until = 0.0

    def _forget(self, id: str) -> None:
        self._logins.forget(id)
        self._all_until = 0.0
