"""A whole broker over mock clouds: one cloud for each account, each with faults of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nimbi.broker.accounts import Accounts
from nimbi.broker.deliveries import Pace
from nimbi.broker.destinations import Destinations
from nimbi.broker.events import Events
from nimbi.broker.inventory.inventory import Inventory
from nimbi.broker.inventory.poller import Beat
from nimbi.broker.inventory.wishes import Listing, Wish
from nimbi.broker.orphans import Orphans
from nimbi.broker.webhooks import Webhooks
from nimbi.driver.interface import Driver
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.session import LOGIN
from nimbi.gateway.audit import CallEvent, Hooks
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import NewAccount, Part
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database, open_database
from nimbi.store.events import EventStore
from nimbi.store.holdings import HoldingStore
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.keys import new_key
from nimbi.store.leases import LeaseStore
from nimbi.store.sealing import Keyring
from nimbi.store.webhooks import WebhookStore

CREDENTIALS = {"user": LOGIN.user, "password": LOGIN.password}
# Quick enough for a test, and slow enough for a machine with much to do.
BEAT = Beat(look_s=0.1, lease_s=2.0)
PACE = Pace(look_s=0.02, patience_s=5.0, first_s=0.01, longest_s=0.02)
KEY = b"a key that signs the markers of tests"


@dataclass
class Site:
    """The broker of one process, and the clouds behind its accounts."""

    database: Database
    keyring: Keyring
    registry: Registry
    pool: Clouds
    clouds: dict[str, MockCloud]
    accounts: Accounts
    inventory: Inventory
    events: Events
    orphans: Orphans
    webhooks: Webhooks
    intents: IntentStore
    store: InventoryStore
    calls: list[CallEvent]
    stack: AsyncExitStack = field(repr=False)

    async def add(self, *ids: str, **credentials: str) -> None:
        """Make accounts, each with a cloud of its own; nobody asks the clouds."""
        for id in ids:
            if id not in self.clouds:
                self.clouds[id] = MockCloud()
                self.stack.callback(self.clouds[id].close)
            self.registry.add(replace(driver_over(self.clouds[id]), name=f"mock-{id}"))
            await self.enter(id, f"mock-{id}", **credentials)

    async def add_driver(self, id: str, driver: Driver[Any, Any]) -> None:
        """Make an account of a cloud of another kind."""
        self.registry.add(driver)
        await self.enter(id, driver.name)

    async def enter(self, id: str, driver: str, **credentials: str) -> None:
        login = CREDENTIALS | credentials
        await self.accounts.create(NewAccount(id=id, driver=driver, credentials=login), test=False)

    def cloud(self, id: str) -> "Any":
        """Return an account's cloud, to use in `async with`: what is done there nobody is told."""
        return self.accounts.use(id)

    async def list(self, collection: str = "instances", **wish: Any) -> Listing:
        return await self.inventory.list(Wish(collection=collection, **wish))


@asynccontextmanager
async def open_site(
    url: str,
    place: Path,
    *,
    keyring: Keyring | None = None,
    clouds: dict[str, MockCloud] | None = None,
    registry: Registry | None = None,
    holder: str = "this",
    beat: Beat = BEAT,
    upgrade: bool = False,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Site]:
    """Give the broker of one process on a database, ready or made so, until the block ends."""
    keyring = keyring or Keyring.of(new_key())
    registry = registry or Registry({})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url, upgrade=upgrade))
        calls: list[CallEvent] = []
        pool = Clouds(registry, settings or {}, place, Hooks(calls.append))
        stack.push_async_callback(pool.aclose)
        accounts = Accounts(
            AccountStore(database), keyring, pool, registry, Destinations(private=True)
        )
        store, intents = InventoryStore(database), IntentStore(database)
        events = Events(EventStore(database))
        inventory = Inventory(
            accounts,
            store,
            LeaseStore(database),
            intents,
            registry,
            key=KEY,
            holder=holder,
            on_news=events.look,
            beat=beat,
        )
        stack.push_async_callback(inventory.aclose)
        holdings = HoldingStore(database)
        orphans = Orphans(accounts, intents, store, inventory, holdings, holder=holder)
        webhooks = Webhooks(
            WebhookStore(database),
            EventStore(database),
            accounts,
            keyring,
            accounts._destinations,
            holder=holder,
            pace=PACE,
        )
        yield Site(
            database,
            keyring,
            registry,
            pool,
            clouds if clouds is not None else {},
            accounts,
            inventory,
            events,
            orphans,
            webhooks,
            intents,
            store,
            calls,
            stack,
        )


def part_of(parts: Iterable[Part], account: str) -> Part:
    return next(part for part in parts if part.account == account)


async def soon(is_so: Callable[[], Any], within_s: float = 20.0) -> None:
    """Return when something has come to be; fail when it does not."""
    async with asyncio.timeout(within_s):
        while not await is_so():  # noqa: ASYNC110  it may be another process that makes it so
            await asyncio.sleep(0.02)
