"""The consoles of the mock cloud behind a real socket, in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from nimbi.connection import LimitedConnection, websocket_connection
from nimbi.drivers.mock import DRIVER
from nimbi.frontends.consoles.app import ConsolesApp
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.listener import MESSAGE_BYTES

LOGIN = ("mockuser", "mockpassword")


class Site:
    """A server of consoles: requests by `http`, consoles by `open`."""

    def __init__(self, app: ConsolesApp, http: httpx.AsyncClient, clouds: Clouds) -> None:
        self.app = app
        self.http = http
        self.clouds = clouds

    async def ticket(self, **asked: Any) -> dict[str, Any]:
        """Return the answer to a request for a console of inst1."""
        answer = await self.http.post("/consoles", json={"instance_id": "inst1"} | asked)
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def open(self, url: str | None = None, **more: Any) -> ClientConnection:
        """Return an open console; of the serial line of inst1 when no address is given."""
        return await connect(url or (await self.ticket())["url"], proxy=None, **more)


Serve = Callable[..., AbstractAsyncContextManager[Site]]


@asynccontextmanager
async def serving(
    state_dir: Path, drivers: dict[str, Any] | None = None, auth: Any = LOGIN, **limits: Any
) -> AsyncIterator[Site]:
    """Serve the consoles of some drivers, those of the mock cloud when none are given."""
    registry = Registry(drivers or {"mock": DRIVER})
    clouds = Clouds(registry, {}, state_dir)
    folder = state_dir / "consoles"
    app = ConsolesApp(clouds, registry, next(iter(registry.names())), folder=folder, **limits)
    config = uvicorn.Config(
        app,
        http=LimitedConnection,
        ws=websocket_connection,  # type: ignore[arg-type]
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # `serve` would take over the signals of the process that runs the tests.
        running = asyncio.create_task(server._serve([listening]))
        async with httpx.AsyncClient(base_url=base, auth=auth, trust_env=False) as http:
            yield Site(app, http, clouds)
        server.should_exit = True
        await running
    await clouds.aclose()


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start a server, with limits of the test's own."""

    return partial(serving, tmp_path)


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    async with serve() as site:
        yield site
