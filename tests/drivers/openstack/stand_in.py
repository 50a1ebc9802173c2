"""A server that stands in for Keystone and all services, just as each test wants it."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from nimbi.driver.interface import Account, Place
from nimbi.drivers.openstack.login import Login
from nimbi.drivers.openstack.session import Session, Settings, open_session, start

LOGIN = Login("me+mine", "a secret")
PROJECT = "0123456789abcdef0123456789abcdef"

# Where each type of the catalogue is, below the server.
PLACES: Mapping[str, str] = {
    "identity": "/identity/v3",
    "compute": "/compute/v2.1",
    "image": "/image",
    "volumev3": f"/volume/v3/{PROJECT}",
    "network": "/network",
    "load-balancer": "/load-balancer",
    "object-store": f"/v1/AUTH_{PROJECT}",
}
COMPUTE_VERSIONS = {"version": {"id": "v2.1", "version": "2.90", "min_version": "2.1"}}
VOLUME_VERSIONS = {"versions": [{"id": "v3.0", "version": "3.59", "min_version": "3.0"}]}


@dataclass(frozen=True)
class Asked:
    """One request that a service was sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[Asked], web.Response]
Told = web.Response | Answering | Mapping[str, Any] | int


@dataclass
class StandIn:
    """`answers` by `GET /compute/v2.1/servers`, the last one given again and again.

    Tokens are good until they are `revoked`; `logins` counts how often one was asked for.
    """

    url: str = ""
    regions: tuple[str, ...] = ("here",)
    services: tuple[str, ...] = tuple(PLACES)
    lasting: timedelta = timedelta(hours=1)
    refuses: bool = False
    logins: list[Any] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    answers: dict[str, list[Told]] = field(default_factory=dict)

    @property
    def auth_url(self) -> str:
        return f"{self.url}/identity/v3"

    def tell(self, what: str, *told: Told) -> None:
        """Set what comes of a request, call by call: `tell("GET /compute/v2.1/servers", {…})`."""
        self.answers[what] = list(told)

    def requests(self, path: str) -> list[Asked]:
        """Return the requests for a path."""
        return [asked for asked in self.asked if asked.path == path]

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = Asked(
            request.method, request.path, dict(request.query), request.headers.copy(), body
        )
        what = f"{request.method} {request.path}"
        if what == "POST /identity/v3/auth/tokens" and what not in self.answers:
            return self._token(asked)
        self.asked.append(asked)
        if what in self.answers or request.path.rstrip("/") in _ROOTS:
            told = self._next(what) if what in self.answers else _ROOTS[request.path.rstrip("/")]
            return _response(told, asked)
        return _response(404, asked)

    def _next(self, what: str) -> Told:
        told = self.answers[what]
        return told.pop(0) if len(told) > 1 else told[0]

    def _token(self, asked: Asked) -> web.Response:
        self.logins.append(asked.json["auth"])
        if self.refuses:
            return fault(401, "error", title="Unauthorized")
        id = f"token{len(self.logins)}"
        return web.json_response({"token": self.token()}, headers={"X-Subject-Token": id})

    def token(self, **changes: Any) -> dict[str, Any]:
        """Return what Keystone tells of a token."""
        ends = datetime.now(UTC) + self.lasting
        return {
            "expires_at": ends.isoformat().replace("+00:00", "Z"),
            "project": {"id": PROJECT, "name": "mine"},
            "user": {"id": "u", "name": "me"},
            "roles": [{"id": "r", "name": "member"}],
            "catalog": [
                {"type": type, "name": type, "endpoints": list(self._endpoints(type))}
                for type in self.services
            ],
            **changes,
        }

    def _endpoints(self, type: str) -> Iterable[dict[str, str]]:
        for region in self.regions:
            for interface in ("admin", "internal", "public"):
                yield {
                    "id": f"{type}{region}",
                    "interface": interface,
                    "region": region,
                    "region_id": region,
                    "url": self.url + PLACES[type],
                }

    def checked(self, told: Told) -> Answering:
        """Return an answer for those only whose token is not revoked."""

        def answer(asked: Asked) -> web.Response:
            if asked.headers.get("X-Auth-Token") in self.revoked:
                return fault(401, "error")
            return _response(told, asked)

        return answer


_ROOTS: Mapping[str, Told] = {
    "/compute/v2.1": COMPUTE_VERSIONS,
    "/volume/v3": VOLUME_VERSIONS,
}


def fault(status: int, name: str, message: str = "Told by the test.", **more: Any) -> web.Response:
    """Return a fault as Nova and Keystone tell it."""
    headers = {"Retry-After": str(more.pop("retry_after"))} if "retry_after" in more else {}
    told = {name: {"message": message, "code": status, **more}}
    return web.json_response(told, status=status, headers=headers)


def dropped(_asked: Asked) -> web.Response:
    """Hang up without an answer."""
    raise ConnectionResetError


def _response(told: Told, asked: Asked) -> web.Response:
    if isinstance(told, int):
        return web.Response(status=told)
    if isinstance(told, web.Response):
        # Each is sent once only.
        return web.Response(status=told.status, body=told.body, headers=_kept(told))
    return told(asked) if callable(told) else web.json_response(told)


def _kept(told: web.Response) -> dict[str, str]:
    return {name: value for name, value in told.headers.items() if name != "Content-Length"}


@asynccontextmanager
async def standing_in(**settings: Any) -> AsyncIterator[StandIn]:
    """Serve as long as the block lasts."""
    cloud = StandIn(**settings)

    async def answer(request: web.Request) -> web.Response:
        try:
            return await cloud.answer(request)
        except ConnectionResetError:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{rest:.*}", answer)
    async with TestServer(app) as server:
        cloud.url = str(server.make_url("")).rstrip("/")
        yield cloud


@asynccontextmanager
async def logged_in(
    cloud: StandIn,
    folder: Path,
    credentials: Any = LOGIN,
    region: str | None = None,
    **settings: Any,
) -> AsyncIterator[Session]:
    """Give the driver's own session at a stand-in."""
    provider = cloud.auth_url + (f";{region}" if region else "")
    async with (
        start(Settings(**settings), Place(folder)) as backend,
        open_session(backend, Account(credentials, provider)) as session,
    ):
        yield session
