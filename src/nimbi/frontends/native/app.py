"""The native API as an ASGI app: a request is understood, answered by its route, and sent."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nimbi.broker.access import check
from nimbi.frontends.native import auditing, keys, problems
from nimbi.frontends.native.answer import Answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.login import CHALLENGE, caller_of
from nimbi.frontends.native.problems import Problem, bad_request
from nimbi.frontends.native.query import parameters
from nimbi.frontends.native.route import Route
from nimbi.frontends.native.routes import ROUTES
from nimbi.frontends.native.sending import send_answer
from nimbi.frontends.native.tree import Tree
from nimbi.gateway.tickets import Tickets
from nimbi.model.errors import CloudError, Forbidden, Unauthorized
from nimbi.wire.request_body import Gone, MalformedBody, has_body

if TYPE_CHECKING:
    from nimbi.broker.site import Broker

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)

# What these bring along would be dropped in silence.
WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})

LONGEST_DEADLINE_S = 600


class NativeApp:
    """The native API below /v1.

    `max_body_bytes` bounds bodies of JSON; contents of blobs and images have no bound. `tickets`
    are those of the front end for consoles, None when there is none.
    """

    def __init__(
        self,
        broker: "Broker",
        *,
        max_body_bytes: int = 1 << 20,
        tickets: Tickets | None = None,
        routes: Sequence[Route] = ROUTES,
    ) -> None:
        self._broker = broker
        self._max_body_bytes = max_body_bytes
        self._tickets = tickets
        self._tree = Tree(routes)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        exchange = Exchange(scope, receive, self._broker, self._max_body_bytes, self._tickets)
        try:
            await self._serve(exchange, send)
        except Gone:
            # Nobody reads an answer when the client has left.
            return

    async def _serve(self, exchange: Exchange, send: Send) -> None:
        try:
            answer = await self._answer(exchange, send)
        except Gone:
            raise
        except Exception as failure:  # noqa: BLE001  nothing may show through to a client
            if exchange.started:
                # The status is sent: all that is left is to break the connection off.
                log.warning("request %s broke off: %r", exchange.request_id, failure)
                return
            answer = told(exchange, failure)
        if answer is not None:
            await send_answer(answer, exchange, send)

    async def _answer(self, exchange: Exchange, send: Send) -> Answer | None:
        """Understand the request, step by step; each raises what ends it. None: it was sent."""
        raw_path = exchange.raw_path = _raw_path(exchange.scope)
        if exchange.method == "OPTIONS":
            return self._options(raw_path)
        place = self._tree.find(exchange.method, raw_path)
        route = place.route
        exchange.arguments = place.arguments
        if not route.is_open:
            exchange.caller = await caller_of(exchange)
            if route.operation is not None:
                await self._check(exchange, route)
        raw_query: bytes = exchange.scope.get("query_string", b"")
        if raw_query:
            exchange.query = parameters(raw_query, route)
        if exchange.method in WITHOUT_BODY:
            _refuse_body(exchange)
        elif _is_keyed(exchange, route):
            return await self._once(exchange, route, send)
        return await self._audited(exchange, route, send)

    async def _check(self, exchange: Exchange, route: Route) -> None:
        assert route.operation is not None  # noqa: S101  who asks has looked
        try:
            check(exchange.caller, route.operation, exchange.account)
        except Forbidden as error:
            await auditing.refused(exchange, route, error)
            raise

    async def _once(self, exchange: Exchange, route: Route, send: Send) -> Answer:
        async def work() -> Answer:
            try:
                answer = await self._audited(exchange, route, send)
            except Gone:
                raise
            except Exception as failure:  # noqa: BLE001  as above
                return told(exchange, failure)
            assert answer is not None  # noqa: S101  a route that takes a key streams nothing
            return answer

        return await keys.once(exchange, work, reads_body=route.key == "whole")

    async def _audited(self, exchange: Exchange, route: Route, send: Send) -> Answer | None:
        if not auditing.is_told(exchange, route):
            return await self._perform(exchange, route, send)
        return await auditing.audited(exchange, route, lambda: self._perform(exchange, route, send))

    async def _perform(self, exchange: Exchange, route: Route, send: Send) -> Answer | None:
        """Let the handler work, with the account's session where the route opens that.

        A stream is sent while the session is open.
        """
        if not route.opens_cloud:
            return await route.handler(exchange)
        account = exchange.arguments["account"]
        try:
            async with self._broker.use(exchange.caller, account) as cloud:
                exchange.cloud = cloud
                if "deadline" in exchange.query:
                    exchange.cloud = cloud.within(
                        exchange.number("deadline", 1, 1, LONGEST_DEADLINE_S)
                    )
                answer = await route.handler(exchange)
                if answer.chunks is None:
                    return answer
                await send_answer(answer, exchange, send)
                return None
        except Unauthorized as error:
            # Not the caller's token is wrong but the login that is kept for the account.
            raise Problem(
                "account_unauthorized",
                f"the cloud of the account {account!r} refuses its login: {error.message}",
                more={"account": account},
            ) from error

    def _options(self, raw_path: bytes) -> Answer:
        methods = self._tree.methods(raw_path)
        if not methods:
            raise problems.no_such_place()
        return nothing(((b"allow", ", ".join(methods).encode("ascii")),))


def told(exchange: Exchange, failure: Exception) -> Answer:
    """Return the problem that tells a failure; of one that nobody foresaw only the log tells."""
    if isinstance(failure, Problem):
        return problems.of_problem(failure, exchange.request_id)
    if isinstance(failure, CloudError):
        asks = (CHALLENGE,) if isinstance(failure, Unauthorized) else ()
        return problems.of_error(failure, exchange.request_id, asks)
    log.error("request %s failed", exchange.request_id, exc_info=failure)
    return problems.internal(exchange.request_id)


def _is_keyed(exchange: Exchange, route: Route) -> bool:
    """Return whether a request is to be done once. A rehearsal does nothing anyway."""
    if route.key == "none" or keys.HEADER not in exchange.headers:
        return False
    return not ("dry_run" in exchange.query and exchange.flag("dry_run"))


def _refuse_body(exchange: Exchange) -> None:
    try:
        if has_body(exchange.headers):
            raise bad_request(f"a {exchange.method} brings no body")
    except MalformedBody as error:
        raise bad_request(str(error)) from error


def _raw_path(scope: MutableMapping[str, Any]) -> bytes:
    """Return the path as sent, without what a mount stands for."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"], safe="/%").encode("ascii")
    mount: bytes = scope.get("root_path", "").encode("ascii", "ignore")
    return raw.removeprefix(mount) if mount else raw
