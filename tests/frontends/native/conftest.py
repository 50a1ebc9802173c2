"""The native API in this process, over a mock cloud."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.frontends.native.serving import LOGIN, token

from nimbi.broker.site import Broker, Options, open_broker
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.frontends.native.app import NativeApp
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.gateway.tickets import Tickets
from nimbi.model.accounts import NewAccount
from nimbi.model.tokens import Scope


@dataclass
class Api:
    """The app, what is behind it, and a client with a token for everything."""

    app: NativeApp
    broker: Broker
    cloud: MockCloud
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        """Return the answer to a request; `if_match="x"` is the header If-Match."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, json=json, headers=named)

    async def keyed(self, key: str, path: str, json: Any = None) -> httpx.Response:
        """Return the answer to a POST with an Idempotency-Key."""
        return await self.ask("POST", path, json, idempotency_key=key)

    def client_of(self, secret: str) -> httpx.AsyncClient:
        """Return a client with another token."""
        return client(self.app, {"authorization": f"Bearer {secret}"})

    async def reader(self, *scopes: Scope) -> httpx.AsyncClient:
        """Return a client whose token has these scopes."""
        return self.client_of(await token(self.broker, *scopes))

    def count(self, collection: str = "instances") -> int:
        """Return how many things the cloud has."""
        return len(getattr(self.cloud.world.state, collection).whole.items)


def client(app: Any, headers: Mapping[str, str]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://nimbi", headers=dict(headers))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    tmp_path = tmp_path_factory.mktemp("native")
    cloud = MockCloud()
    registry = Registry({"mock": driver_over(cloud)})
    clouds = Clouds(registry, {}, tmp_path / "state")
    options = Options(
        database=f"sqlite:///{tmp_path}/nimbi.db",
        key_file=tmp_path / "key",
        environment={},
        polls=False,
    )
    async with open_broker(options, clouds, registry) as broker:
        await broker.accounts.create(NewAccount(id="mock", driver="mock", credentials=LOGIN))
        app = NativeApp(broker, max_body_bytes=100_000, tickets=Tickets(tmp_path / "tickets"))
        headers = {"authorization": f"Bearer {await token(broker)}"}
        async with client(app, headers) as told:
            yield Api(app, broker, cloud, told)
    await clouds.aclose()
    cloud.close()
