"""One list over every cloud: twenty at once against the slowest, and a hundred thousand rows."""

import os
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import uvloop

from bench.table import Line
from nimbi.broker.accounts import Accounts
from nimbi.broker.destinations import Destinations
from nimbi.broker.inventory.bodies import thing_of
from nimbi.broker.inventory.inventory import Inventory
from nimbi.broker.inventory.query import query_of
from nimbi.broker.inventory.wishes import Wish
from nimbi.driver.compute import Instances
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.faults import Faults, Latency
from nimbi.drivers.mock.session import LOGIN
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import NewAccount
from nimbi.model.instances import Instance, InstanceState
from nimbi.model.inventory import Thing
from nimbi.store.accounts import AccountStore
from nimbi.store.database import open_database
from nimbi.store.intents import IntentStore
from nimbi.store.inventory import InventoryStore
from nimbi.store.keys import new_key
from nimbi.store.leases import LeaseStore
from nimbi.store.listing import page
from nimbi.store.sealing import Keyring

CLOUDS = 20
INSTANCES = 500
LATENCY_S = 0.1
ROUNDS = 15

THINGS = 100_000
PAGE = 100
PAGES = 300
MIB = 2**20

FILTERED = Wish(collection="instances", filters={"state": "running"}, sort="name", limit=PAGE)


def measure(place: Path) -> list[Line]:
    """Measure both; the clouds are of mock, in the process that asks them."""
    return uvloop.run(_measured(place))


async def _measured(place: Path) -> list[Line]:
    fresh = await _fresh(place)
    return [fresh, *await _first_pages(place)]


async def _fresh(place: Path) -> Line:
    async with _site(place / "fresh.db", place) as (accounts, inventory, _store, registry):
        names = [f"cloud{number:02}" for number in range(CLOUDS)]
        for name in names:
            await _add(accounts, registry, name, _cloud_of(INSTANCES))
        wish = Wish(collection="instances", fresh=True, limit=PAGE)
        await inventory.list(wish)

        async def slowest() -> None:
            async with accounts.use(names[-1]) as cloud:
                await cloud.call(Instances.page, None, 1000)

        async def all_of_them() -> None:
            listing = await inventory.list(wish)
            if len(listing.items) != PAGE or any(part.state != "ok" for part in listing.parts):
                raise SystemExit("the list is not whole")

        async def settled() -> None:
            # This one waits until what the clouds have said is kept.
            await inventory.list(Wish(collection="instances", limit=1))

        one_s = await _median_s(slowest, ROUNDS)
        all_s = await _median_s(all_of_them, ROUNDS, settled)
    return Line(
        f"{CLOUDS} clouds of {INSTANCES} instances at {LATENCY_S * 1000:.0f} ms, fresh: to one",
        all_s / one_s,
        "x",
        1.2,
        at_least=False,
        note=f"{all_s * 1000:.0f} ms, {one_s * 1000:.0f} ms",
    )


async def _first_pages(place: Path) -> list[Line]:
    file = place / "many.db"
    async with _site(file, place) as (accounts, inventory, store, registry):
        for number in range(CLOUDS):
            name = f"cloud{number:02}"
            await _add(accounts, registry, name, MockCloud())
            now = datetime.now(UTC)
            await store.replace(name, "instances", _things(name, THINGS // CLOUDS), now)
            await store.polls.schedule(name, "instances", now + timedelta(days=1), 300.0)

        async def listed() -> None:
            await inventory.list(FILTERED)

        statement = page(msgspec.structs.replace(query_of(FILTERED), limit=PAGE + 1))
        await listed()
        list_s = await _median_s(listed, PAGES)
        bare_s = _bare_s(file, statement.sql, statement.values)
        growth = await _growth_mib(inventory)
    return [
        Line(
            f"{THINGS:,} instances: first page, filtered and sorted, to bare sqlite3",
            list_s / bare_s,
            "x",
            5,
            at_least=False,
            note=f"{list_s * 1e6:.0f} µs, {bare_s * 1e6:.0f} µs",
        ),
        Line(
            f"memory that grows while {THINGS:,} instances are listed",
            growth,
            "MiB",
            16,
            at_least=False,
        ),
    ]


@asynccontextmanager
async def _site(
    file: Path, place: Path
) -> AsyncIterator[tuple[Accounts, Inventory, InventoryStore, Registry]]:
    registry = Registry({})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(f"sqlite:///{file}"))
        clouds = Clouds(registry, {}, place)
        stack.push_async_callback(clouds.aclose)
        keyring, store = Keyring.of(new_key()), InventoryStore(database)
        accounts = Accounts(
            AccountStore(database), keyring, clouds, registry, Destinations(private=True)
        )
        inventory = Inventory(
            accounts,
            store,
            LeaseStore(database),
            IntentStore(database),
            registry,
            key=os.urandom(32),
            holder="bench",
        )
        stack.push_async_callback(inventory.aclose)
        yield accounts, inventory, store, registry


async def _add(accounts: Accounts, registry: Registry, name: str, cloud: MockCloud) -> None:
    registry.add(replace(driver_over(cloud), name=f"mock-{name}"))
    login = {"user": LOGIN.user, "password": LOGIN.password}
    new = NewAccount(id=name, driver=f"mock-{name}", credentials=login)
    await accounts.create(new, test=False)


def _cloud_of(count: int) -> MockCloud:
    cloud = MockCloud()
    with cloud.world.change() as state:
        pattern = state.instances.whole.items[0]
        made = [
            msgspec.structs.replace(
                pattern, id=f"i-{number:08}", name=f"web-{number * 7919 % count}"
            )
            for number in range(count - len(state.instances.whole.items))
        ]
        state.instances = state.instances.having(*made)
    cloud.faults = Faults(latency=Latency(seconds=LATENCY_S))
    return cloud


def _things(account: str, count: int) -> Iterator[Thing]:
    states = (InstanceState.RUNNING, InstanceState.STOPPED)
    for number in range(count):
        instance = Instance(
            id=f"i-{number:08}",
            name=f"web-{number * 7919 % count:06}",
            owner_id="someone",
            image_id="img1",
            realm_id=f"realm{number % 3}",
            hardware_profile_id="m1-small",
            state=states[number % 2],
            created_at=datetime.now(UTC),
            tags={"role": "web"},
        )
        yield thing_of(account, "instances", instance)


async def _median_s(
    work: Callable[[], Awaitable[None]],
    rounds: int,
    before: Callable[[], Awaitable[None]] | None = None,
) -> float:
    taken = []
    for _ in range(rounds):
        if before is not None:
            await before()
        began = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _bare_s(file: Path, sql: str, values: tuple[object, ...]) -> float:
    connection = sqlite3.connect(file)
    connection.execute("pragma cache_size = -16384")
    taken = []
    for _ in range(PAGES):
        began = time.perf_counter()
        rows = connection.execute(sql, values).fetchall()
        taken.append(time.perf_counter() - began)
        if len(rows) != PAGE + 1:
            raise SystemExit("the bare list is not whole")
    connection.close()
    return statistics.median(taken)


async def _growth_mib(inventory: Inventory) -> float:
    """Return by how much the peak rises while all rows are streamed.

    They are streamed once before, since SQLite's cache grows to its full size only then.
    """
    await _streamed(inventory)
    before = _status_kib("VmRSS")
    _forget_peak()
    await _streamed(inventory)
    return (_status_kib("VmHWM") - before) * 1024 / MIB


async def _streamed(inventory: Inventory) -> None:
    count = 0
    async for _row in inventory.stream(Wish(collection="instances")):
        count += 1
    if count != THINGS + CLOUDS:
        raise SystemExit(f"the stream has {count} lines")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status_kib(what: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1])
    return 0
