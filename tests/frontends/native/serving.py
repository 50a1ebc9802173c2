"""A server of the native API over a mock cloud, on loopback."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from nimbi.broker.access import ADMIN
from nimbi.broker.health.mail import MailServer
from nimbi.broker.openid.provider import OpenIdOptions
from nimbi.broker.site import Broker, Options, open_broker
from nimbi.drivers.mock import DRIVER
from nimbi.frontends.native.app import NativeApp
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.gateway.tickets import Tickets
from nimbi.model.accounts import NewAccount
from nimbi.model.tokens import NewToken, Scope

ROOT = Path(__file__).parents[3]

LOGIN = {"user": "mockuser", "password": "mockpassword"}


@dataclass(frozen=True)
class Place:
    """A server: its URL, and the secrets of its tokens.

    One is for everything, `reader` only reads, and `leaver` is for everything until it is ended.
    """

    url: str
    token: str
    reader: str
    leaver: str


@asynccontextmanager
async def broker_over_mock(
    folder: Path,
    *,
    private: bool = True,
    mail: MailServer | None = None,
    openid: OpenIdOptions | None = None,
) -> AsyncIterator[Broker]:
    """Give a broker with one account, `mock`, over a mock cloud; nothing polls."""
    registry = Registry({"mock": DRIVER})
    clouds = Clouds(registry, {}, folder / "state")
    options = Options(
        database=f"sqlite:///{folder}/nimbi.db",
        key_file=folder / "key",
        private_endpoints=private,
        environment={},
        polls=False,
        mail=mail,
        openid=openid,
    )
    try:
        async with open_broker(options, clouds, registry) as broker:
            await broker.accounts.create(NewAccount(id="mock", driver="mock", credentials=LOGIN))
            yield broker
    finally:
        await clouds.aclose()


async def token(broker: Broker, *scopes: Scope) -> str:
    """Return the secret of a new token."""
    new = NewToken(name="test", scopes=scopes or (Scope(),))
    return (await broker.people.create_token(ADMIN, new)).secret


@contextmanager
def served(folder: Path) -> Iterator[Place]:
    """Run a server in a process of its own for as long as the block does."""
    command = [sys.executable, "-m", "tests.frontends.native.serving", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Place(*json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


async def serve(folder: Path) -> None:
    """Serve until this process is ended; print where, and the tokens, as JSON."""
    async with broker_over_mock(folder) as broker:
        reading = Scope(operations="read")
        secrets = [await token(broker), await token(broker, reading), await token(broker)]
        config = uvicorn.Config(
            NativeApp(broker, tickets=Tickets(folder / "consoles")),
            lifespan="off",
            http="httptools",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        # Who connects before the server takes connections waits for it.
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            print(json.dumps([url, *secrets]), flush=True)  # noqa: T201
            await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
