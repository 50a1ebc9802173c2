"""Logins to all clouds: which driver, with which settings, in which session."""

import asyncio
import hashlib
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nimbi.driver.capabilities import interface_of
from nimbi.driver.interface import Account, Place
from nimbi.driver.measurements import Measurement
from nimbi.driver.operation import Collection
from nimbi.gateway.audit import CLIENT, Audit, Hooks, Tries
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.errors import to_cloud_error
from nimbi.gateway.held import Held, closed
from nimbi.gateway.limits import DEFAULT_POOL, Limits, PoolLimits
from nimbi.gateway.pool import Lease, Pool
from nimbi.gateway.registry import AnyDriver, Registry
from nimbi.gateway.retry import PASSING, Repeater, Rule
from nimbi.model.errors import CloudError, Invalid
from nimbi.wire.destinations import Reach

T = TypeVar("T")

log = logging.getLogger(__name__)

# The part of a driver's settings that is the gateway's: a `Limits`.
CALLS = "calls"

# Starting a driver may mean to look at the machine, or to read a store.
START_S = 120.0

DIGEST_BYTES = 16


class Clouds:
    """Gives sessions: one for each driver, provider and credentials, kept open between uses.

    `settings` are the drivers' parts of the settings file, by name, as read; those of a driver are
    checked at its first use. Its part `calls` sets the `Limits`. `state_dir` has a directory for
    each driver.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Mapping[str, Mapping[str, Any]],
        state_dir: Path,
        hooks: Hooks | None = None,
        *,
        pool: PoolLimits = DEFAULT_POOL,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.registry = registry
        self._settings = settings
        self._state_dir = state_dir
        self._audit = Audit(hooks) if hooks is not None else None
        self._random = random
        self._pool_limits = pool
        self._pool = Pool(pool)
        self._backends: dict[str, Held[Any]] = {}
        # Digests of credentials must not be comparable between processes.
        self._digest_key = os.urandom(32)
        self._encode = msgspec.msgpack.Encoder().encode

    def use(
        self,
        driver_name: str,
        provider: str | None,
        credentials: Any | None,
        reach: Reach = Reach.ANYWHERE,
    ) -> AbstractAsyncContextManager[Cloud]:
        """Return a cloud to use in `async with`. A stream of it must end before the block does.

        `reach` is how far its requests may go. Raises UnknownDriver, Throttled when too many
        sessions are in use, Invalid for text that is not Unicode, and what the driver raises when
        it starts or logs in. The first use opens the session; others that come meanwhile wait.
        """
        return self.login(driver_name, provider, credentials, reach)()

    def login(
        self,
        driver_name: str,
        provider: str | None,
        credentials: Any | None,
        reach: Reach = Reach.ANYWHERE,
    ) -> Callable[[], AbstractAsyncContextManager[Cloud]]:
        """Return what gives, at each call, a cloud to use once, as `use` does.

        For who keeps a login: finding its session takes less then. Raises Invalid.
        """
        try:
            told = self._encode((driver_name, provider, credentials, reach))
        except UnicodeEncodeError as error:
            raise Invalid("a provider, user or password is no Unicode text") from error
        key = hashlib.blake2b(told, digest_size=DIGEST_BYTES, key=self._digest_key).digest()
        login = (provider, credentials, reach)
        return partial(Lease, self._pool, key, partial(self._open, driver_name, login, key))

    def settings(self, driver_name: str) -> Any:
        """Return a driver's settings, decoded. Raises CloudError when they are wrong."""
        raw = {k: v for k, v in self._settings.get(driver_name, {}).items() if k != CALLS}
        return _decoded(raw, self.registry.driver(driver_name).settings, driver_name)

    def limits(self, driver_name: str) -> Limits:
        """Return the limits of calls to a driver's cloud. Raises CloudError when they are wrong."""
        raw = self._settings.get(driver_name, {}).get(CALLS, {})
        if (usual := self.registry.driver(driver_name).calls) and isinstance(raw, Mapping):
            raw = {**usual, **raw}
        return _decoded(raw, Limits, f"{driver_name}.{CALLS}")

    def place(self, driver_name: str) -> Place:
        """Return where a driver keeps its state."""
        return Place(self._state_dir / driver_name)

    def own_login(self, driver_name: str) -> Any | None:
        """Return the credentials of this very user to a cloud of this machine; None if it has none.

        For programs that use Nimbi as a library, never for requests from elsewhere.
        """
        driver = self.registry.driver(driver_name)
        return driver.own_login(self.settings(driver_name), self.place(driver_name))

    def measurements(self, driver_name: str) -> list[Measurement]:
        """Return what a driver tells about its cloud, for a thread; nothing when that fails."""
        try:
            driver = self.registry.driver(driver_name)
            return list(driver.measurements(self.settings(driver_name), self.place(driver_name)))
        except Exception:
            log.exception("the measurements of %s are not to be had", driver_name)
            return []

    def open_sessions(self) -> int:
        """Return how many sessions are kept open now."""
        return len(self._pool)

    async def aclose(self) -> None:
        """Close all sessions, then all drivers. Open streams break."""
        await self._pool.aclose()
        backends = list(self._backends.values())
        self._backends.clear()
        await closed(backends, self._pool_limits.leave_s)

    def _open(
        self, driver_name: str, login: tuple[str | None, Any | None, Reach], key: bytes
    ) -> Held[Cloud]:
        provider, credentials, reach = login
        driver = self.registry.driver(driver_name)
        limits = self.limits(driver_name)
        account = Account(credentials, provider, reach, CLIENT.get())
        what = f"a session of {driver_name}"
        return Held(self._session(driver, driver_name, limits, account, key), what)

    @asynccontextmanager
    async def _session(
        self, driver: AnyDriver, name: str, limits: Limits, account: Account, key: bytes
    ) -> AsyncIterator[Cloud]:
        backend = await self._backend(driver, name)
        async with AsyncExitStack() as stack:

            async def log_in() -> Any:
                return await stack.enter_async_context(driver.open(backend, account))

            rule = Rule(PASSING, f"{name} did not open a session in time")
            session = await self._opened(driver, log_in, rule, limits, limits.deadline_s)

            def drop() -> None:
                if account.credentials is not None:
                    self._pool.drop(key, cloud)

            cloud = Cloud(
                driver,
                collections_of(driver, session),
                operations=self.registry.supported(name),
                notes=driver.notes(session),
                providers=driver.providers(session) if driver.providers else None,
                states=driver.states(session),
                provider=account.provider,
                limits=limits,
                audit=self._audit,
                session=key.hex(),
                on_unauthorized=drop,
                random=self._random,
            )
            yield cloud

    async def _backend(self, driver: AnyDriver, name: str) -> Any:
        held = self._backends.get(name)
        if held is None or held.is_over():
            held = self._backends[name] = Held(self._started(driver, name), f"driver {name}")
        return await held.value()

    @asynccontextmanager
    async def _started(self, driver: AnyDriver, name: str) -> AsyncIterator[Any]:
        settings = self.settings(name)
        async with AsyncExitStack() as stack:

            async def start() -> Any:
                return await stack.enter_async_context(driver.start(settings, self.place(name)))

            # A driver that cannot start now is started again at its next use.
            rule = Rule((), f"driver {name} did not start in time")
            yield await self._opened(driver, start, rule, self.limits(name), START_S)

    async def _opened(
        self,
        driver: AnyDriver,
        enter: Callable[[], Coroutine[Any, Any, Any]],
        rule: Rule,
        limits: Limits,
        deadline_s: float,
    ) -> Any:
        began = asyncio.get_running_loop().time()
        repeater = Repeater(limits, partial(to_cloud_error, driver), self._random)
        return await repeater.run(enter, (), {}, rule, began + deadline_s, Tries(began))


def collections_of(driver: AnyDriver, session: Any) -> dict[str, Collection]:
    """Return the collections that a session has, by the names of their interfaces."""
    names = None if driver.narrow is None else driver.narrow(session)
    found: dict[str, Collection] = {}
    for make in driver.collections:
        # What a session lacks may not even be made for it.
        kind = make if isinstance(make, type) else None
        if names is None or kind is None or interface_of(kind).name in names:
            collection = make(session)
            found[interface_of(type(collection)).name] = collection
    return {name: each for name, each in found.items() if names is None or name in names}


def credentials_from_basic(driver: AnyDriver, user: str, password: str) -> Any:
    """Return a driver's credentials of the user and password of HTTP Basic.

    They are the first two fields, in order; a driver with a single one takes the password. Raises
    Invalid when the driver needs more than that.
    """
    kind: Any = driver.credentials
    names = _first_fields(kind)
    given = {names[0]: user, names[1]: password} if len(names) > 1 else {names[0]: password}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"a user and a password are no full login to {driver.name}: {error}"
        ) from error


@cache
def _first_fields(credentials: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(credentials)[:2])


def _decoded(raw: Mapping[str, Any], kind: type[T], what: str) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise CloudError(f"the settings of {what} are wrong: {error}") from error
