"""The API over the mock cloud, in this process, with an HTTP client in front of it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from nimbi.driver.interface import Driver
from nimbi.drivers.mock import DRIVER
from nimbi.frontends.deltacloud.app import DeltacloudApp
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry

HOST = "http://h:3001"
LOGIN = ("mockuser", "mockpassword")

Raw = httpx.Response


class Client:
    """Requests as one format; an error status is no exception."""

    def __init__(self, http: httpx.AsyncClient, app: DeltacloudApp) -> None:
        self.http = http
        self.app = app

    async def __call__(self, method: str, path: str, accept: str = "", **more: Any) -> Raw:
        headers = {"accept": accept} | dict(more.pop("headers", {}))
        return await self.http.request(method, path, headers=headers, **more)

    async def xml(self, method: str, path: str, **more: Any) -> etree._Element:
        """Return the root of a document; its status is in the attribute `http`."""
        answer = await self(method, path, "application/xml", **more)
        assert answer.headers["content-type"] == "application/xml", answer.text
        return etree.fromstring(answer.content)

    async def json(self, method: str, path: str, **more: Any) -> Any:
        answer = await self(method, path, "application/json", **more)
        assert answer.headers["content-type"] == "application/json", answer.text
        return answer.json()


Serve = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start a server over drivers of the test's own."""

    @asynccontextmanager
    async def served(
        drivers: Mapping[str, Driver[Any, Any]] | None = None,
        settings: Mapping[str, Any] | None = None,
        default: str = "mock",
        **more: Any,
    ) -> AsyncIterator[Client]:
        registry = Registry(drivers or {"mock": DRIVER})
        clouds = Clouds(registry, {"mock": settings or {}}, tmp_path)
        app = DeltacloudApp(clouds, registry, default, **more)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=HOST, auth=LOGIN) as http:
            # Without these two httpx would say what it accepts.
            http.headers.clear()
            yield Client(http, app)
        await clouds.aclose()

    return served


@pytest.fixture
async def api(serve: Serve) -> AsyncIterator[Client]:
    async with serve() as client:
        yield client


@pytest.fixture
async def stranger(api: Client) -> Client:
    """Return a client of the same server that brings no login."""
    transport = httpx.ASGITransport(api.app)
    return Client(httpx.AsyncClient(transport=transport, base_url=HOST), api.app)
