"""The API as an ASGI app: a request is understood, answered by its route, and sent."""

import logging
from typing import Any
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from nimbi.frontends.deltacloud import bodies, errors, intake, site
from nimbi.frontends.deltacloud.auth import challenge
from nimbi.frontends.deltacloud.exchange import Exchange, base_url
from nimbi.frontends.deltacloud.formats import HTML, chosen, of_error
from nimbi.frontends.deltacloud.handlers import options
from nimbi.frontends.deltacloud.parameters import Parameters
from nimbi.frontends.deltacloud.reply import (
    Problem,
    Refusal,
    Reply,
    lacks_capability,
    not_acceptable,
    not_found,
)
from nimbi.frontends.deltacloud.route import Route
from nimbi.frontends.deltacloud.routes.table import DOCUMENTED, ROUTES
from nimbi.frontends.deltacloud.selection import Selection, selected
from nimbi.frontends.deltacloud.sending import send_reply
from nimbi.frontends.deltacloud.tree import fixed_paths, tree
from nimbi.gateway.clouds import Clouds, credentials_from_basic
from nimbi.gateway.registry import Registry, UnknownDriver
from nimbi.model.errors import CloudError, Unauthorized
from nimbi.wire.basic import Login, MalformedLogin, basic_login
from nimbi.wire.origin import is_cross_site
from nimbi.wire.request_body import BodyTooLarge, Gone, MalformedBody
from nimbi.wire.written import Documents

log = logging.getLogger(__name__)

TREE = tree(ROUTES)
FIXED = fixed_paths(ROUTES, TREE)

# Verbs that change nothing, so that a page of another site may cause them.
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class DeltacloudApp:
    """The API of Deltacloud at the root of a server.

    `default_driver` and `default_provider` serve requests that choose none. `credentials`, user
    and password, are used for all requests whatever they bring along. `max_body_bytes` bounds the
    fields of forms, `max_file_bytes` an upload by form; other uploads have no bound.
    `realm_host` is the host in the question for a login.
    """

    def __init__(
        self,
        clouds: Clouds,
        registry: Registry,
        default_driver: str,
        default_provider: str | None = None,
        *,
        credentials: tuple[str, str] | None = None,
        max_body_bytes: int = 1 << 20,
        max_file_bytes: int = 5 << 30,
        realm_host: str = "localhost",
    ) -> None:
        self._clouds = clouds
        self._registry = registry
        self._documents = Documents()
        self._default = Selection(default_driver, default_provider)
        self._login = Login(*credentials) if credentials is not None else None
        self._limits = bodies.Limits(max_body_bytes, max_file_bytes)
        self._realm_host = realm_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _other_protocol(scope, receive, send)
            return
        exchange = Exchange(scope, receive, self._default, self._registry, self._documents)
        try:
            await self._answer(exchange, scope, send)
        except Gone:
            return
        except Exception as failure:  # noqa: BLE001  nothing may show through to a client
            if exchange.started:
                # The status is sent: all that is left is to break the connection off.
                log.warning("request %s broke off: %r", exchange.named_request(), failure)
                return
            await send_reply(self._failed(exchange, failure), exchange, send)
        finally:
            for file in exchange.parameters.files.values():
                await file.close()

    async def _answer(self, exchange: Exchange, scope: Scope, send: Send) -> None:
        """Understand the request step by step; each step raises what ends it."""
        raw_path = _raw_path(scope)
        exchange.base_url = base_url(scope, exchange.headers)
        exchange.query = bodies.pairs(exchange.raw_query) if exchange.raw_query else {}
        if raw_path in site.PATHS:
            exchange.path = raw_path.decode("ascii")
            await send_reply(site.answer(raw_path, exchange), exchange, send)
            return
        if exchange.method == "OPTIONS":
            await send_reply(self._options(exchange, raw_path), exchange, send)
            return
        place = intake.place(TREE, FIXED, raw_path, exchange)
        exchange.selection = selected(exchange.headers, place.matrix, self._default)
        form: Parameters | None = Parameters()
        method = exchange.method
        if method == "POST":
            form = await intake.read_form(exchange, place.node, self._limits)
            method = intake.overridden(exchange, form)
        route = intake.route_of(place.node, method)
        self._choose_format(exchange, route)
        self._choose_driver(exchange)
        if not route.need_ids <= exchange.operations:
            raise lacks_capability(route.capability)
        if method not in READING and is_foreign(exchange):
            raise Problem(403, "ForbiddenError", "a page of another site may not do this")
        exchange.arguments = (
            {name: place.segments[at] for at, name in route.positions} if route.positions else {}
        )
        await self._serve(exchange, route, place, form, send)

    async def _serve(
        self,
        exchange: Exchange,
        route: Route,
        place: intake.Place,
        form: Parameters | None,
        send: Send,
    ) -> None:
        if form is not None:
            exchange.parameters = intake.merged(place.defaults, exchange.query, form)
            intake.check(route, exchange)
        exchange.login = self._login or self._brought(exchange)
        forced = "force_auth" in exchange.query and route.path == "/api"
        try:
            if forced:
                await self._verify(exchange)
            if route.opens_cloud:
                await self._in_cloud(exchange, route, place, form, send)
                return
            if route.is_told and _differs(exchange):
                await self._tell(exchange, route, place, form, send)
                return
        except CloudError as error:
            raise self._problem(exchange, route, place, error) from error
        await send_reply(await route.handler(exchange), exchange, send)

    async def _tell(
        self,
        exchange: Exchange,
        route: Route,
        place: intake.Place,
        form: Parameters | None,
        send: Send,
    ) -> None:
        """Tell what this very session has; with a wrong login, what everybody may know."""
        try:
            await self._in_cloud(exchange, route, place, form, send)
        except Unauthorized:
            if exchange.login is None:
                raise
            exchange.login = None
            await self._in_cloud(exchange, route, place, form, send)

    async def _in_cloud(
        self,
        exchange: Exchange,
        route: Route,
        place: intake.Place,
        form: Parameters | None,
        send: Send,
    ) -> None:
        async with self._clouds.use(*self._account(exchange)) as cloud:
            exchange.cloud = cloud
            exchange.operations = cloud.operations
            exchange.lacks, exchange.notes = cloud.lacks, cloud.notes
            if not route.need_ids <= cloud.operations:
                raise lacks_capability(route.capability)
            if form is None:
                # A stranger's file must not fill the disk.
                await cloud.verify()
                form = await bodies.multipart(
                    exchange.receive, exchange.headers, self._limits, True
                )
                exchange.parameters = intake.merged(place.defaults, exchange.query, form)
                intake.check(route, exchange)
            await send_reply(await route.handler(exchange), exchange, send)

    async def _verify(self, exchange: Exchange) -> None:
        """Check the login against the cloud before the entry point is shown."""
        if exchange.login is None:
            raise Unauthorized("Unauthorized")
        try:
            async with self._clouds.use(*self._account(exchange)) as cloud:
                await cloud.verify()
        except Unauthorized as error:
            raise Refusal(Reply(401, b"Authentication failed", "text/html")) from error

    def _options(self, exchange: Exchange, raw_path: bytes) -> Reply:
        """Answer for the entry point, a collection, or an operation: `/api/instances/create`."""
        segments = intake.segments_of(raw_path, exchange)
        exchange.selection = selected(exchange.headers, segments[0].parameters, self._default)
        self._choose_driver(exchange)
        names = [segment.text for segment in segments]
        if names[0] != "api" or len(names) > 3:
            raise not_found()
        if len(names) == 1:
            return options.entry(exchange)
        routes = DOCUMENTED.get(names[1], ())
        return (
            options.collection(routes)
            if len(names) == 2
            else options.operation(exchange, routes, names[2])
        )

    def _choose_format(self, exchange: Exchange, route: Route) -> None:
        if route.any_accept:
            return
        exchange.negotiated = True
        accept = exchange.headers.get(b"accept", b"")
        format = chosen(exchange.query.get("format"), accept, route.formats)
        if format is None:
            raise not_acceptable()
        exchange.format = format

    def _choose_driver(self, exchange: Exchange) -> None:
        name = exchange.selection.driver
        try:
            exchange.driver = self._registry.driver(name)
            exchange.operations = self._registry.supported(name)
        except UnknownDriver as error:
            message = f"Driver '{name}' is not available ({error.message})"
            raise Problem(400, "ValidationFailure", message) from error

    def _brought(self, exchange: Exchange) -> Login | None:
        try:
            return basic_login(exchange.headers.get(b"authorization"))
        except MalformedLogin as error:
            asks = challenge(exchange.selection.driver, self._realm_host)
            message = f"Unauthorized: {error}"
            raise Problem(401, "AuthenticationFailure", message, (asks,)) from error

    def _account(self, exchange: Exchange) -> tuple[str, str | None, Any | None]:
        """Return driver, provider and credentials."""
        selection, login = exchange.selection, exchange.login
        if login is None:
            return selection.driver, selection.provider, None
        credentials = credentials_from_basic(exchange.driver, login.user, login.password)
        return selection.driver, selection.provider, credentials

    def _problem(
        self, exchange: Exchange, route: Route, place: intake.Place, error: CloudError
    ) -> Problem:
        found = errors.problem(error, is_action=route.is_action)
        if found.status == 405:
            found.headers = (*found.headers, *intake.allow(place.node))
        if isinstance(error, Unauthorized):
            if route.operation == "index":
                found.message, found.details = "Unauthorized", found.message
            # Browsers ask again only when they are asked; other clients know by the status.
            if exchange.login is None or exchange.format is HTML:
                asks = challenge(exchange.selection.driver, self._realm_host)
                found.headers = (*found.headers, asks)
        return found

    def _failed(self, exchange: Exchange, failure: Exception) -> Reply:
        if isinstance(failure, Refusal):
            return failure.reply
        if not exchange.negotiated:
            accept = exchange.headers.get(b"accept", b"")
            exchange.format = of_error(accept, exchange.query.get("format"))
        if isinstance(failure, (BodyTooLarge, MalformedBody)):
            return errors.reply(bodies.wrong_body(failure), exchange)
        if isinstance(failure, Problem):
            return errors.reply(failure, exchange)
        if isinstance(failure, CloudError):
            return errors.reply(errors.problem(failure), exchange)
        id = exchange.named_request()
        log.error("request %s failed", id, exc_info=failure)
        return errors.reply(errors.internal(id), exchange)


def is_foreign(exchange: Exchange) -> bool:
    """Return whether a page of another site caused the request."""
    headers = exchange.headers
    if b"origin" not in headers and b"sec-fetch-site" not in headers:
        return False
    return is_cross_site(
        {
            name: headers[name.encode()].decode("latin-1")
            for name in ("origin", "sec-fetch-site", "host")
            if name.encode() in headers
        }
    )


def _raw_path(scope: Scope) -> bytes:
    """Return the path as sent, without what a mount stands for."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"], safe="/;=%").encode("ascii")
    mount: bytes = scope.get("root_path", "").encode("ascii", "ignore")
    return raw.removeprefix(mount) if mount else raw


def _differs(exchange: Exchange) -> bool:
    """Return whether a session may tell something else of its driver than the driver does."""
    driver, of_driver = exchange.driver, exchange.arguments.get("id")
    if of_driver is None:
        return driver.narrow is not None
    is_current = of_driver == exchange.selection.driver
    return is_current and driver.providers is not None and exchange.login is not None


async def _other_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
