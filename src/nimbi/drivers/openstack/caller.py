"""The one way to call the services of OpenStack: with a token, at the right place, in turn."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from nimbi.drivers.openstack import microversions
from nimbi.drivers.openstack.access import Access
from nimbi.drivers.openstack.backend import Backend
from nimbi.drivers.openstack.calls import (
    FIRST_PER_S,
    encoded,
    family_of,
    opened,
    openstack_error,
    sent,
    told_apart,
    with_query,
)
from nimbi.drivers.openstack.errors import OpenStackError, is_refused_login, is_throttled
from nimbi.drivers.openstack.microversions import Root
from nimbi.drivers.openstack.roots import Roots, service_urls
from nimbi.drivers.openstack.tokens import Token
from nimbi.model.errors import Throttled, Unauthorized, Unsupported
from nimbi.wire.budget import OverBudget
from nimbi.wire.http import Answer, HttpClient, Request, Stream
from nimbi.wire.renewal import Renewed

T = TypeVar("T")

# How a service says that it does not speak the version that it was asked in.
OLD_VERSION = frozenset({300, 410})


class Caller:
    """A login to one project at one region, and requests in its name.

    Raises OpenStackError, and CloudErrors when no answer came.
    """

    def __init__(
        self, backend: Backend, access: Access, http: HttpClient, tokens: Renewed[Token] | None
    ) -> None:
        self.backend = backend
        self.http = http
        self.region = access.region
        self._access = access
        self._tokens = tokens
        self._latest = tokens.at_hand if tokens else None
        self._login = backend.login_id(access)
        self._roots = Roots(backend, http, trusted=access.own)
        # The services of the token that they were read from.
        self._urls: tuple[Token | None, dict[str, str]] = (None, {})

    @property
    def key(self) -> tuple[str, str]:
        """What tells this login at this region from others, for `backend.cached`."""
        return (self._login, self.region or "")

    @property
    def auth_url(self) -> str:
        """The Keystone that is logged in to."""
        return self._access.auth_url

    @property
    def latest_token(self) -> Token | None:
        """The token that was got last, good or not; None before there is one."""
        at_hand = self._tokens.at_hand if self._tokens else None
        if at_hand is not None:
            self._latest = at_hand
        return self._latest

    async def token(self) -> Token:
        """Return a token that is good for a call. Raises Unauthorized without a login."""
        if self._tokens is None:
            raise Unauthorized("OpenStack needs a user and a password")
        return await self._tokens.value()

    def services(self) -> frozenset[str]:
        """Return the services that this login has here; empty before the first token."""
        token = self.latest_token
        return frozenset(self._services(token)) if token else frozenset()

    def regions(self) -> tuple[str, ...]:
        """Return the regions that the catalogue names; none before the first token."""
        token = self.latest_token
        return token.catalogue.regions(self._access.interface) if token else ()

    def services_at(self, region: str) -> dict[str, str]:
        """Return the URLs that the catalogue has for a region, by service."""
        token = self.latest_token
        return token.catalogue.urls(region, self._access.interface) if token else {}

    async def url(self, service: str) -> str:
        """Return the URL of a service in the catalogue. Raises Unsupported when it has none."""
        url = self._services(await self.token()).get(service)
        if url is None:
            where = f" in {self.region}" if self.region else ""
            raise Unsupported(f"this OpenStack has no service {service}{where}", service)
        return url

    async def root(self, service: str) -> Root:
        """Return where requests to a service go. Raises Unsupported when it is not there."""
        return await self._roots.of(service, await self.url(service), await self.token())

    async def supports(self, service: str, microversion: str) -> bool:
        """Return whether a service understands a microversion, such as `"2.79"`."""
        return (await self.root(service)).knows(microversion)

    async def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any | None = None,
        headers: Mapping[str, str] | None = None,
        microversion: str | None = None,
        changes: bool,
    ) -> Answer:
        """Return the whole answer to a request. `body` is sent as JSON; bytes as they are.

        `path` is relative to the root of the service's version; ids in it are `quoted`. `changes`
        is whether a lost answer may mean that the cloud has changed.
        """
        method, query = told_apart(method, service, path, query)
        data, told = encoded(body, headers)

        async def once(root: Root, token: Token) -> Answer:
            head = self._headers(service, root, token, told, microversion)
            request = Request(method, with_query(root.url + path, query), head, data)
            async with self.paced(service, changes=changes):
                answer = await sent(self.http, request, changes=changes)
                if answer.status >= 300:
                    raise openstack_error(
                        service, answer.status, answer.headers, answer.body, changes=changes
                    )
                return answer

        return await self._insisting(service, once)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterator[bytes] = b"",
        size_bytes: int | None = None,
        changes: bool,
    ) -> AsyncIterator[Stream]:
        """Give an answer as soon as its headers are there; its body within the block.

        Any status from 300 is raised as an OpenStackError. A body that comes as an iterator is
        sent once only.
        """
        method, query = told_apart(method, service, path, query)

        async def once(
            root: Root, token: Token
        ) -> tuple[AbstractAsyncContextManager[Stream], Stream]:
            head = self._headers(service, root, token, headers or {}, None)
            request = Request(method, with_query(root.url + path, query), head, body, size_bytes)
            async with self.paced(service, changes=changes):
                return await opened(self.http, request, service, changes=changes)

        way, answer = await self._insisting(service, once, again=isinstance(body, bytes))
        try:
            yield answer
        except BaseException as error:
            if not await way.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            await way.__aexit__(None, None, None)

    @asynccontextmanager
    async def paced(self, service: str, *, changes: bool) -> AsyncIterator[None]:
        """Wait until a service still takes requests of this kind (`calls.FIRST_PER_S`).

        An OpenStackError of throttling closes the budget of this login, region, service and kind.
        Raises Throttled, before any traffic, when too many others wait.
        """
        family = family_of(service, changes=changes)
        key = (self._login, self.region, service, family)
        budgets = self.backend.budgets
        try:
            await budgets.leave(key)
        except OverBudget as error:
            raise Throttled(str(error), error.retry_after_s) from error
        left_at = budgets.now()
        try:
            yield
        except OpenStackError as error:
            if is_throttled(error):
                budgets.throttled(key, left_at, FIRST_PER_S[family], error.retry_after_s)
            raise

    def _services(self, token: Token) -> dict[str, str]:
        of, urls = self._urls
        if of is token:
            return urls
        access = self._access
        catalogued = token.catalogue.urls(self.region, access.interface)
        urls = service_urls(catalogued, access.endpoint_urls, access.auth_url)
        self._urls = (token, urls)
        return urls

    def _headers(
        self,
        service: str,
        root: Root,
        token: Token,
        told: Mapping[str, str],
        microversion: str | None,
    ) -> dict[str, str]:
        if microversion is not None and not root.knows(microversion):
            raise Unsupported(f"this OpenStack's {service} does not know {microversion}", service)
        version = microversion or root.best(service)
        asked = microversions.headers(service, version) if version else {}
        return {"X-Auth-Token": token.id, **asked, **told}

    async def _insisting(
        self, service: str, once: Callable[[Root, Token], Awaitable[T]], *, again: bool = True
    ) -> T:
        """Return what a call returns, made again once with another token or another version."""
        token = await self.token()
        root = await self.root(service)
        try:
            return await once(root, token)
        except OpenStackError as error:
            other = await self._mended(error, service, root, token)
            if other is None or not again:
                raise
        return await once(*other)

    async def _mended(
        self, error: OpenStackError, service: str, root: Root, token: Token
    ) -> tuple[Root, Token] | None:
        """Return with what the same call may go well now; None when nothing is known.

        Only of errors after which nothing was done.
        """
        if is_refused_login(error) and self._tokens is not None:
            self._tokens.refuse(token)
            fresh = await self._tokens.value()
            return (await self.root(service), fresh) if fresh.id != token.id else None
        if error.status in OLD_VERSION:
            moved = await self._roots.moved(service, await self.url(service), token)
            return (moved, token) if moved is not None and moved.url != root.url else None
        return None
