"""All parts of the broker over mock clouds, and the driver that shows its accounts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nimbi.broker.access import ADMIN
from nimbi.broker.driver import accounts_driver
from nimbi.broker.site import Broker, assembled
from nimbi.driver.interface import UserAndPassword
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.session import LOGIN
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import Account, NewAccount
from nimbi.model.tokens import NewToken, Scope
from nimbi.store.database import open_database
from nimbi.store.keys import new_key
from nimbi.store.sealing import Keyring

CREDENTIALS = {"user": LOGIN.user, "password": LOGIN.password}


@dataclass
class Whole:
    """A broker, and the mock cloud behind each account."""

    broker: Broker
    clouds: dict[str, MockCloud]
    stack: AsyncExitStack

    async def add(self, *ids: str) -> Account:
        """Make accounts, each with a cloud of its own."""
        for id in ids:
            self.clouds[id] = MockCloud()
            self.stack.callback(self.clouds[id].close)
            self.broker.registry.add(replace(driver_over(self.clouds[id]), name=f"mock-{id}"))
            new = NewAccount(id=id, driver=f"mock-{id}", credentials=CREDENTIALS)
            account = await self.broker.accounts.create(new, test=False)
        return account

    async def token(self, *scopes: Scope) -> str:
        """Return the secret of a new token; without scopes it may do everything."""
        new = NewToken(name="test", scopes=scopes or (Scope(),))
        return (await self.broker.people.create_token(ADMIN, new)).secret

    async def login(self, *scopes: Scope) -> UserAndPassword:
        return UserAndPassword("anybody", await self.token(*scopes))


@asynccontextmanager
async def open_whole(url: str, place: Path, *, private: bool = False) -> AsyncIterator[Whole]:
    """Give the broker of one process on a database that is ready; nothing polls."""
    registry = Registry({})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url, upgrade=False))
        clouds = Clouds(registry, {}, place)
        stack.push_async_callback(clouds.aclose)
        keyring = Keyring.of(new_key())
        broker = assembled(database, keyring, clouds, registry, private=private)
        stack.push_async_callback(broker.inventory.aclose)
        registry.add(accounts_driver(lambda: broker))
        yield Whole(broker, {}, stack)
