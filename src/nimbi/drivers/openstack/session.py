"""Login to one project of one region, and what all collections ask of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from collections.abc import Set as AnySet
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from nimbi.driver.interface import Account
from nimbi.driver.operation import Collection
from nimbi.drivers.openstack.access import Access
from nimbi.drivers.openstack.accounts import access_of
from nimbi.drivers.openstack.allowances import is_exceeded
from nimbi.drivers.openstack.backend import Backend, start
from nimbi.drivers.openstack.caller import Caller
from nimbi.drivers.openstack.calls import decoded, quoted
from nimbi.drivers.openstack.errors import EXCEEDED, OpenStackError
from nimbi.drivers.openstack.pages import items_of, next_marker
from nimbi.drivers.openstack.roots import identity_url
from nimbi.drivers.openstack.settings import Settings
from nimbi.drivers.openstack.settling import CALM_S, SETTLE_S, repeated
from nimbi.drivers.openstack.tokens import Token, issued
from nimbi.model.errors import Invalid, Unauthorized
from nimbi.wire.http import HttpClient
from nimbi.wire.renewal import Lease

if TYPE_CHECKING:
    from nimbi.drivers.openstack.objects.client import ObjectClient

__all__ = [
    "Backend",
    "OfSession",
    "OpenStackError",
    "Session",
    "Settings",
    "open_session",
    "quoted",
    "start",
]

T = TypeVar("T")


class Session(Caller):
    """One login to one project at one region.

    Its calls raise OpenStackError, and CloudErrors when no answer came.
    """

    @property
    def settings(self) -> Settings:
        """The driver's part of the settings file."""
        return self.backend.settings

    @property
    def project_id(self) -> str:
        """The project of the token. Raises Unauthorized before there is one: see `project`."""
        token = self.latest_token
        if token is None or token.project_id is None:
            raise Unauthorized("OpenStack needs a login to a project")
        return token.project_id

    async def project(self) -> str:
        """Return the id of the project. Raises Unauthorized for a login to none."""
        await self.token()
        return self.project_id

    @cached_property
    def objects(self) -> "ObjectClient":
        """The way to call Swift."""
        from nimbi.drivers.openstack.objects.client import ObjectClient

        return ObjectClient(self)

    async def get(
        self,
        service: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        microversion: str | None = None,
    ) -> Any:
        """Return the JSON of an answer: `await session.get("compute", "/servers/detail")`.

        `path` is relative to the root of the service's version; ids in it are `quoted`.
        """
        answer = await self.call(
            "GET", service, path, query=query, microversion=microversion, changes=False
        )
        return decoded(answer, changes=False)

    async def post(
        self,
        service: str,
        path: str,
        body: Any,
        *,
        changes: bool = True,
        microversion: str | None = None,
    ) -> Any:
        """Return the JSON of the answer to a POST; None for an empty one.

        `changes` is whether a lost answer may mean that the cloud has changed.
        """
        return await self._told("POST", service, path, body, changes, microversion)

    async def put(
        self,
        service: str,
        path: str,
        body: Any,
        *,
        changes: bool = True,
        microversion: str | None = None,
    ) -> Any:
        """Return the JSON of the answer to a PUT, as `post` does."""
        return await self._told("PUT", service, path, body, changes, microversion)

    async def patch(
        self,
        service: str,
        path: str,
        body: Any,
        *,
        changes: bool = True,
        microversion: str | None = None,
        content_type: str | None = None,
    ) -> Any:
        """Return the JSON of the answer to a PATCH, as `post` does."""
        told = {"Content-Type": content_type} if content_type else None
        return await self._told("PATCH", service, path, body, changes, microversion, told)

    async def delete(
        self,
        service: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        microversion: str | None = None,
    ) -> None:
        """Take something away."""
        await self.call(
            "DELETE", service, path, query=query, microversion=microversion, changes=True
        )
        # What was taken away is not unknown because it is new.
        self.backend.fresh.discard(path.split("/"))

    async def each(
        self,
        service: str,
        path: str,
        key: str,
        query: Mapping[str, Any] | None = None,
        *,
        microversion: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield all items of a small list: `session.each("compute", "/flavors", "flavors")`.

        Follows the links of pages, whatever their size.
        """
        marker: str | None = None
        while True:
            asked = {**(query or {}), "marker": marker}
            told = await self.get(service, path, asked, microversion=microversion)
            for item in items_of(told, key):
                yield item
            after = next_marker(told, key)
            if after is None or after == marker:
                return
            marker = after

    def fresh(self, id: str) -> None:
        """Remember that a thing was made just now, which parts of the cloud may not know yet."""
        self.backend.fresh.add(id)

    async def settled(
        self,
        call: Callable[[], Awaitable[T]],
        codes: AnySet[str | int] = frozenset({404}),
        ids: Iterable[str] = (),
    ) -> T:
        """Return what `call` returns, called again while it does not know a fresh id, 20 s at most.

        `codes` are the statuses or fault codes that mean this. `ids` are those that it asks for;
        without them, those that the error names count. Only for calls that did nothing when they
        fail so.
        """
        asked = tuple(ids)
        fresh = self.backend.fresh

        async def helps(error: OpenStackError) -> bool:
            if error.code not in codes and error.status not in codes:
                return False
            return any(id in fresh for id in asked) if asked else fresh.any_in(error.message)

        return await repeated(call, helps, SETTLE_S)

    async def calmed(
        self,
        call: Callable[[], Awaitable[T]],
        is_busy: Callable[[], Awaitable[bool]],
        statuses: AnySet[int] = frozenset({409}),
    ) -> T:
        """Return what `call` returns, called again while the cloud is busy with the same thing.

        After an error with one of `statuses`, `is_busy` tells whether a task is under way that
        will end by itself: see `server_is_busy`, `volume_is_busy`. The caller's deadline ends it.
        """
        was_busy = True

        async def helps(error: OpenStackError) -> bool:
            nonlocal was_busy
            if error.status not in statuses:
                return False
            # The task may have ended between the answer and the question.
            now = await is_busy()
            again, was_busy = now or was_busy, now
            return again

        return await repeated(call, helps, CALM_S)

    async def server_is_busy(self, id: str) -> bool:
        """Return whether Nova is at work on a server: its task state is not None."""
        told = await self.get("compute", f"/servers/{quoted(id)}")
        server = told.get("server", {})
        return server.get("OS-EXT-STS:task_state") is not None or server.get("status") == "BUILD"

    async def volume_is_busy(self, id: str) -> bool:
        """Return whether Cinder is at work on a volume: its status ends with -ing."""
        told = await self.get("volume", f"/volumes/{quoted(id)}")
        status = str(told.get("volume", {}).get("status", ""))
        # `error_extending` stays.
        return status.endswith("ing") and not status.startswith("error")

    async def _told(
        self,
        method: str,
        service: str,
        path: str,
        body: Any,
        changes: bool,
        microversion: str | None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            answer = await self.call(
                method,
                service,
                path,
                body=body,
                headers=headers,
                microversion=microversion,
                changes=changes,
            )
        except OpenStackError as error:
            # Nova has one status and code for a limit and for what a role may not do.
            refused = error.status == 403 and service == "compute"
            if refused and await is_exceeded(self, path, body):
                error.code = EXCEEDED
            raise
        return decoded(answer, changes=changes)


@asynccontextmanager
async def open_session(backend: Backend, account: Account) -> AsyncIterator[Session]:
    """Log in to the Keystone and region that the provider, or else the settings, name.

    Raises Invalid for what names none, Forbidden for one that a provider may not name, and
    Unauthorized for a wrong login. Without credentials nothing is asked.
    """
    backend = backend.reaching(account.reach)
    access = await access_of(account, backend)
    http = await backend.client(access.tls)
    way = access.way
    if way is None:
        yield Session(backend, access, http, None)
        return

    async def fetch() -> Lease[Token]:
        return await issued(http, await identity_url(backend, http, access.auth_url), way)

    yield await logged_in(backend, access, http, fetch)


async def logged_in(
    backend: Backend,
    access: Access,
    http: HttpClient,
    fetch: Callable[[], Awaitable[Lease[Token]]],
) -> Session:
    """Return a session whose tokens `fetch` gives, once for all sessions of the same login."""
    tokens = backend.tokens(backend.login_id(access), fetch)
    token = await tokens.value()
    return Session(backend, at_home(access, token), http, tokens)


def at_home(access: Access, token: Token) -> Access:
    """Return a login with the region that it is at. Raises Invalid for one that is not there.

    Case does not count: HTTP's own selection of a provider may have lost it.
    """
    catalogue, interface = token.catalogue, access.interface
    if access.region is None:
        return replace(access, region=catalogue.home(interface))
    regions = catalogue.regions(interface)
    if not regions or access.region in regions:
        return access
    for region in regions:
        if region.lower() == access.region.lower():
            return replace(access, region=region)
    raise Invalid(f"there is no region {access.region!r}, but {', '.join(regions)}")


class OfSession(Collection):
    """What all collections here share: their session."""

    def __init__(self, session: Session) -> None:
        self.session = session
