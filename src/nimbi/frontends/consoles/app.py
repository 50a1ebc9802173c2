"""The consoles as an ASGI app: tickets by HTTP, the consoles themselves by WebSocket."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nimbi.driver.compute import Instances
from nimbi.driver.consoles import ConsoleStream
from nimbi.frontends.consoles.answers import PRIVATE, Refused, as_json, failure, refusal
from nimbi.frontends.consoles.relay import Relay, closed
from nimbi.frontends.consoles.wishes import Gone, Place, new_console, place
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds, credentials_from_basic
from nimbi.gateway.registry import Registry
from nimbi.gateway.tickets import Ticket, Tickets
from nimbi.model.errors import CloudError, Conflict, Unauthorized, Unsupported
from nimbi.model.instances import InstanceState
from nimbi.wire.basic import MalformedLogin, basic_login
from nimbi.wire.origin import is_cross_site

PATH = "/consoles"
SCREENSHOT = f"{PATH}/screenshot"
LOG = f"{PATH}/log"

# Bytes as they are: the only thing that clients such as noVNC ask for.
SUBPROTOCOL = "binary"

MOST_OPEN = 64
IDLE_S = 900.0
BUSY_RETRY_S = 10

AWAKE = frozenset({InstanceState.PENDING, InstanceState.RUNNING, InstanceState.PAUSED})

LONGEST_HOST = 255
HOST = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")

Handler = Callable[[Request], Awaitable[Response]]


class ConsolesApp:
    """Consoles below /consoles.

    `default_driver` and `default_provider` serve requests that name none; `credentials`, user and
    password, are used for all requests whatever they bring along. `folder` keeps the tickets.
    `most_open` consoles are open at once in this process, each until nothing has moved for
    `idle_s`. `realm` is shown when a login is asked for.
    """

    def __init__(
        self,
        clouds: Clouds,
        registry: Registry,
        default_driver: str,
        default_provider: str | None = None,
        *,
        folder: Path,
        credentials: tuple[str, str] | None = None,
        realm: str = "nimbi",
        most_open: int = MOST_OPEN,
        idle_s: float = IDLE_S,
    ) -> None:
        self._clouds = clouds
        self._registry = registry
        self._default = (default_driver, default_provider)
        self._tickets = Tickets(folder)
        self._credentials = credentials
        self._realm = realm
        self._most_open = most_open
        self._idle_s = idle_s
        self._open = 0
        self._handlers: dict[str, tuple[str, Handler]] = {
            PATH: ("POST", self._give),
            SCREENSHOT: ("GET", self._screenshot),
            LOG: ("GET", self._log),
        }

    @property
    def open_consoles(self) -> int:
        """How many consoles are open now."""
        return self._open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            try:
                answer = await self._answer(Request(scope, receive))
            except Gone:
                return
            await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)(request)
        except Refused as error:
            return refusal(error)
        except CloudError as error:
            return failure(error, self._realm)

    def _handler(self, request: Request) -> Handler:
        path: str = request.scope["path"]
        found = self._handlers.get(path)
        if found is None:
            if path.startswith(f"{PATH}/"):
                asks = (("upgrade", "websocket"), ("connection", "upgrade"))
                raise Refused(426, "upgrade_required", "a console is a WebSocket", asks)
            raise Refused(404, "not_found", "there is nothing here")
        method, handler = found
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            allowed = (("allow", method),)
            raise Refused(405, "method_not_allowed", f"this takes {method} only", allowed)
        return handler

    async def _give(self, request: Request) -> Response:
        """Answer with the address of a console, for one who may have it."""
        if is_cross_site(request.headers):
            raise Refused(403, "forbidden", "a page of another site may not do this")
        asked = await new_console(request)
        driver, provider = self._chosen(asked)
        login = self._login(request)
        if login is None:
            raise Unauthorized("a console needs a login")
        async with self._use(driver, provider, login) as cloud:
            if not cloud.supports(Instances.open_console):
                raise Unsupported(f"{driver} has no consoles", "instances.open_console")
            instance = await cloud.instances.get(asked.instance_id)
        if instance.state not in AWAKE:
            raise Conflict(f"the instance {instance.id!r} is {instance.state}: it has no console")
        ticket = Ticket(
            driver=driver,
            provider=provider,
            login=login,
            instance_id=instance.id,
            kind=asked.kind,
            expires_at=datetime.now(UTC) + timedelta(seconds=asked.expires),
        )
        token = await asyncio.to_thread(self._tickets.give, ticket)
        told = {
            "url": f"{_base(request)}{PATH}/{token}",
            "token": token,
            "expires_at": ticket.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "instance_id": instance.id,
            "kind": ticket.kind.value,
        }
        return as_json(201, told)

    async def _screenshot(self, request: Request) -> Response:
        async with self._asked(request) as (cloud, id):
            picture = await cloud.instances.screenshot(id)
        return Response(picture, headers=PRIVATE, media_type="image/png")

    async def _log(self, request: Request) -> Response:
        async with self._asked(request) as (cloud, id):
            text = await cloud.instances.console(id)
        return Response(text, headers=PRIVATE, media_type="text/plain; charset=utf-8")

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the console of a ticket, which is burnt whatever comes then."""
        await receive()
        if self._open >= self._most_open:
            busy = ("retry-after", str(BUSY_RETRY_S))
            await deny(refusal(Refused(503, "busy", "too many consoles are open", (busy,))), send)
            return
        self._open += 1
        try:
            ticket = await asyncio.to_thread(self._tickets.take, scope["path"][len(PATH) + 1 :])
            async with self._use(ticket.driver, ticket.provider, ticket.login) as cloud:
                console = await cloud.instances.open_console(ticket.instance_id, ticket.kind)
                await self._relay(console, scope, receive, send)
        except CloudError as error:
            await deny(failure(error, self._realm), send)
        finally:
            self._open -= 1

    async def _relay(
        self, console: ConsoleStream, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            # A client that has left meanwhile is an OSError of the server under us.
            with suppress(OSError):
                chosen = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
                await send({"type": "websocket.accept", "subprotocol": chosen})
                code = await Relay(console, receive, send, self._idle_s).run()
                if code is not None:
                    await send({"type": "websocket.close", "code": code})
        finally:
            await closed(console)

    @asynccontextmanager
    async def _asked(self, request: Request) -> AsyncIterator[tuple[Cloud, str]]:
        """Give the cloud and the instance that a query names."""
        asked = place(request.scope["query_string"])
        async with self._use(*self._chosen(asked), self._login(request)) as cloud:
            yield cloud, asked.instance_id

    def _chosen(self, asked: Place) -> tuple[str, str | None]:
        driver, provider = self._default
        if asked.driver is None or asked.driver.lower() == driver:
            return driver, asked.provider or provider
        return asked.driver.lower(), asked.provider

    def _login(self, request: HTTPConnection) -> tuple[str, str] | None:
        if self._credentials is not None:
            return self._credentials
        header = request.headers.get("authorization")
        try:
            brought = basic_login(header.encode("latin-1") if header is not None else None)
        except MalformedLogin as error:
            raise Unauthorized(str(error)) from error
        return None if brought is None else (brought.user, brought.password)

    def _use(
        self, driver: str, provider: str | None, login: tuple[str, str] | None
    ) -> AbstractAsyncContextManager[Cloud]:
        if login is None:
            return self._clouds.use(driver, provider, None)
        credentials = credentials_from_basic(self._registry.driver(driver), *login)
        return self._clouds.use(driver, provider, credentials)


def _base(request: Request) -> str:
    """Return where this server is, as the client calls it: `wss://host:3001`."""
    host = request.headers.get("host", "")
    if len(host) > LONGEST_HOST or not HOST.fullmatch(host):
        raise Refused(400, "invalid", "the Host header is not the name of a host")
    scheme = "wss" if request.scope.get("scheme") in {"https", "wss"} else "ws"
    return f"{scheme}://{host}{request.scope.get('root_path', '')}"


async def deny(answer: Response, send: Send) -> None:
    """Answer a WebSocket's handshake by HTTP."""
    with suppress(OSError):
        start = {"type": "websocket.http.response.start", "status": answer.status_code}
        await send(start | {"headers": answer.raw_headers})
        await send({"type": "websocket.http.response.body", "body": answer.body})
