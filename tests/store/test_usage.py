"""Usage: each change ends one interval and begins the next, whatever clocks and readers do."""

from datetime import datetime
from typing import Any

import msgspec
import pytest
from tests.store.samples import START, at, thing

from nimbi.model.inventory import EventKind, Thing
from nimbi.model.metering import Interval
from nimbi.store.accounts import AccountStore
from nimbi.store.database import Database
from nimbi.store.events import Change, EventStore
from nimbi.store.holdings import Holder, HoldingStore, Want
from nimbi.store.inventory import InventoryStore
from nimbi.store.meters import MeterStore
from nimbi.store.moments import stored
from nimbi.store.quotas import Path
from nimbi.store.schema import bills, events, holdings
from nimbi.store.usage import EVERYTHING, Place, UsageStore

T0 = int(START.timestamp()) - 4 * 365 * 86400
"""The tests' beginning, in the past: nothing is taken to have happened later than now."""


def past(seconds: float) -> datetime:
    return at(seconds - 4 * 365 * 86400)


class Ground:
    """The stores of one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.things = InventoryStore(database)
        self.events = EventStore(database)
        self.meter = MeterStore(database)
        self.usage = UsageStore(database)

    async def told(self, seconds: float, *found: Thing, collection: str = "instances") -> None:
        """Let the cloud of `a` tell what it has."""
        await self.things.replace("a", collection, found, past(seconds))

    async def caught_up(self) -> None:
        while True:
            progress = await self.meter.advance(3)
            if progress.missed:
                await self.meter.compare(whole=True)
            elif not progress.taken and await self.meter.compare() is not None:
                return

    async def intervals(self, **wish: Any) -> list[tuple[str, str | None, int, int | None]]:
        """Return thing, state, begin and end, in seconds after the tests' beginning."""
        found = await self.usage.intervals(**wish)
        return [(one.thing_id, one.state, _since(one.begin), _since(one.until)) for one in found]

    async def total(self, begin: int, until: int, place: Place = EVERYTHING) -> int:
        return sum([one.total async for one in self.usage.sums(T0 + begin, T0 + until, place)])


def _since(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp()) - T0


def vm(id: str, state: str = "running", **values: Any) -> Thing:
    values = {"hardware_profile_id": "small"} | values
    return thing(id, state=state, **values)


def volume(id: str, size_gib: float) -> Thing:
    body = msgspec.json.encode({"id": id, "state": "available", "size_gib": size_gib})
    return Thing(account="a", collection="volumes", id=id, state="available", body=body)


@pytest.fixture
async def ground(database: Database, accounts: AccountStore) -> Ground:
    ground = Ground(database)
    await ground.caught_up()
    return ground


async def test_running_and_stopped_are_metered_apart(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.told(20, vm("i-1", "stopped"))
    await ground.told(30, vm("i-1", "stopped", note="renamed"))
    await ground.told(40, vm("i-1"))
    await ground.told(50)
    await ground.caught_up()
    assert await ground.intervals() == [
        ("i-1", "running", 10, 20),
        ("i-1", "stopped", 20, 40),
        ("i-1", "running", 40, 50),
    ]
    assert await ground.total(0, 100) == 40
    assert await ground.total(15, 45) == 30


async def test_what_no_event_told_is_found_in_the_inventory(ground: Ground) -> None:
    # The first list of a collection makes no events.
    await ground.told(10, vm("i-1"), vm("i-2", "pending"))
    await ground.caught_up()
    assert await ground.intervals() == [("i-1", "running", 10, None)]


async def test_what_was_made_elsewhere_counts_since_it_was_made(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(100, vm("i-1", created_at=past(40)))
    await ground.caught_up()
    # Not before the account was known, which is later here than all that its cloud tells.
    assert await ground.intervals() == [("i-1", "running", 100, None)]


async def test_a_clock_that_goes_back_makes_nothing_negative_and_nothing_twice(
    ground: Ground,
) -> None:
    for seconds, state in ((100, "running"), (200, "stopped"), (50, "running"), (300, "stopped")):
        body = bytes(vm("i-1", state).body)
        change = Change("a", "instances", "i-1", EventKind.CHANGED, state, body)
        await ground.events.append(past(seconds), [change])
    await ground.caught_up()
    found = [(*one[2:],) for one in await ground.intervals(until_s=2**61)]
    begins = [begin for begin, _ in found]
    assert begins == sorted(begins)
    assert all(until is None or begin <= until for begin, until in found)
    assert await ground.total(0, 400) == 300


async def test_an_event_from_the_future_counts_from_now(ground: Ground) -> None:
    body = bytes(vm("i-1").body)
    change = Change("a", "instances", "i-1", EventKind.APPEARED, "running", body)
    await ground.events.append(at(10**8), [change])
    await ground.caught_up()
    (one,) = await ground.usage.intervals()
    assert one.begin.timestamp() <= await ground.usage.now_s()


async def test_events_that_were_forgotten_are_made_up_for_by_the_inventory(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.caught_up()
    await ground.told(20, vm("i-1", "stopped"), vm("i-2"))
    async with ground.database.writing() as connection:
        await connection.execute(events.delete())
    await ground.caught_up()
    assert await ground.intervals() == [
        ("i-1", "running", 10, 20),
        ("i-1", "stopped", 20, None),
        ("i-2", "running", 20, None),
    ]


async def test_with_an_account_all_that_it_had_ends(ground: Ground, accounts: AccountStore) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.caught_up()
    await accounts.remove("a")
    await ground.caught_up()
    (one,) = await ground.usage.intervals()
    assert one.until is not None


async def test_sizes_count_in_whole_mib_and_a_new_size_is_a_new_interval(ground: Ground) -> None:
    await ground.told(0, collection="volumes")
    for seconds, size in ((10, 1), (20, 1.5)):
        told = volume("v", size)
        await ground.told(seconds, told, collection="volumes")
    await ground.told(30, collection="volumes")
    await ground.caught_up()
    assert await ground.total(0, 40) == 10 * 1024 + 10 * 1536


def held(tenant: str, path: str, created: float) -> dict[str, Any]:
    return {
        "account": "a",
        "token": "t",
        "number": 0,
        "tenant": tenant,
        "path": path,
        "user": "u",
        "collection": "instances",
        "thing_id": "i-1",
        "state": "held",
        "created_us": stored(past(created)),
    }


async def test_usage_belongs_to_whoever_holds_the_thing(ground: Ground) -> None:
    await ground.told(0)
    async with ground.database.writing() as connection:
        await connection.execute(holdings.insert().values(held("web", "root/acme/web/", 5)))
    await ground.told(10, vm("i-1"), vm("i-2"))
    await ground.told(20)
    await ground.caught_up()
    assert await ground.total(0, 100) == 20
    assert await ground.total(0, 100, Place(tenant="acme")) == 10
    assert await ground.total(0, 100, Place(tenant="web", accounts=("b",))) == 0


async def test_a_holding_that_is_told_late_counts_from_the_beginning(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.caught_up()
    async with ground.database.writing() as connection:
        await connection.execute(holdings.insert().values(held("web", "root/web/", 5)))
    await ground.meter.compare()
    await ground.told(20)
    await ground.caught_up()
    assert await ground.total(0, 100, Place(tenant="web")) == 10


async def put(ground: Ground, row: dict[str, Any]) -> None:
    async with ground.database.writing() as connection:
        await connection.execute(holdings.insert().values(row))


async def test_what_ended_before_its_holding_was_told_is_its_tenants(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.told(20, vm("i-1", "stopped"))
    await ground.told(30)
    await ground.caught_up()
    await put(ground, held("web", "root/web/", 9) | {"held_us": stored(at(0))})
    await ground.meter.compare()
    assert await ground.total(0, 100, Place(tenant="web")) == 20
    assert {one.tenant for one in await ground.usage.intervals()} == {"web"}
    # Made anew from what was told it comes to the same.
    newest = await ground.usage.newest()
    again = [
        (kind.tenant, kind.state, begin - T0, until - T0)
        async for kind, begin, until, _ in ground.usage.recomputed(T0, T0 + 99, EVERYTHING, newest)
    ]
    assert again == [("web", "running", 10, 20), ("web", "stopped", 20, 30)]


async def test_a_request_that_was_given_up_and_comes_again_has_its_thing_from_the_first_on(
    ground: Ground,
) -> None:
    store, holder = HoldingStore(ground.database), Holder("u", Path(("root", "web")))
    first = Want(account="a", token="t", collection="instances", since=past(9))
    async with ground.database.writing() as connection:
        await store.reserve(connection, holder, first)
    await store.released("a", "t")
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.told(20)
    await ground.caught_up()
    async with ground.database.writing() as connection:
        await store.reserve(connection, holder, msgspec.structs.replace(first, since=None))
    await store.held("a", "t", "i-1")
    await ground.meter.compare()
    assert await ground.total(0, 100, Place(tenant="web")) == 10


async def test_who_has_an_id_that_was_used_before_gets_only_its_own(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.told(20)
    await ground.told(50, vm("i-1"))
    await ground.told(90)
    await ground.caught_up()
    now = {"held_us": stored(at(0))}
    before = {"token": "before", "state": "released", "released_us": stored(past(20))}
    await put(ground, held("web", "root/web/", 9) | now | before)
    await put(ground, held("shop", "root/shop/", 49) | now)
    for _ in range(2):
        await ground.meter.compare()
        assert await ground.total(0, 100, Place(tenant="web")) == 10
        assert await ground.total(0, 100, Place(tenant="shop")) == 40


async def test_what_is_in_a_bill_stays_as_it_is_there(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.told(20)
    await ground.caught_up()
    nothing = {"tenant": "root", "path": "/root/", "month": "2022-01", "zone": "UTC", "total": "0"}
    times = {"begin_s": T0, "until_s": T0 + 99, "made_us": 0, "currency": "EUR", "lines": b"[]"}
    async with ground.database.writing() as connection:
        newest = {"id": "b", "usage_id": await ground.usage.newest()}
        await connection.execute(bills.insert().values(nothing | times | newest))
    await put(ground, held("web", "root/web/", 9) | {"held_us": stored(at(0))})
    await ground.meter.compare()
    assert await ground.total(0, 100, Place(tenant="web")) == 0


async def test_what_goes_to_another_tenant_is_charged_to_each_for_its_time(ground: Ground) -> None:
    await ground.told(0)
    await put(ground, held("web", "root/web/", 9) | {"held_us": stored(past(11))})
    await ground.told(10, vm("i-1"))
    await ground.caught_up()
    store = HoldingStore(ground.database)
    wish = Want(account="a", token="new", collection="instances")
    async with ground.database.writing() as connection:
        await store.claim(connection, Holder("u", Path(("root", "shop"))), wish, "i-1")
    await ground.meter.compare()
    first, second = await ground.usage.intervals()
    assert (first.tenant, second.tenant) == ("web", "shop")
    assert first.until == second.begin


async def test_what_a_tenant_got_later_is_its_own_from_then_on(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    await ground.caught_up()
    async with ground.database.writing() as connection:
        await connection.execute(holdings.insert().values(held("web", "root/web/", 100)))
    await ground.meter.compare()
    first, second = await ground.usage.intervals()
    assert (first.tenant, second.tenant) == ("root", "web")
    assert first.until == second.begin


async def test_a_change_is_taken_in_once_by_several_meters(ground: Ground) -> None:
    await ground.told(0)
    await ground.told(10, vm("i-1"))
    other = MeterStore(ground.database)
    assert (await ground.meter.advance()).taken == 1
    assert (await other.advance()).taken == 0
    assert len(await ground.usage.intervals()) == 1


async def test_intervals_made_anew_are_those_that_were_kept(ground: Ground) -> None:
    await ground.told(0)
    for seconds in range(10, 100, 10):
        states = ("running", "stopped")
        some = [vm(f"i-{n}", states[seconds // 10 * n % 2]) for n in range(5) if seconds % (n + 2)]
        await ground.told(seconds, *some)
    await ground.caught_up()
    newest = await ground.usage.newest()
    again = 0
    async for _, begin, until, amount in ground.usage.recomputed(T0, T0 + 200, EVERYTHING, newest):
        again += max(0, min(until, T0 + 200) - begin) * amount
    assert again == await ground.total(0, 200) > 0


async def test_instances_take_the_sizes_of_their_profile_even_when_it_is_told_later(
    ground: Ground,
) -> None:
    await ground.told(10, vm("i-1"))
    await ground.caught_up()
    body = b'{"id":"small","cpus":{"type":"fixed","default":2},"memory_mib":{"default":1024.5}}'
    profile = Thing(account="a", collection="hardware_profiles", id="small", body=body)
    await ground.told(20, profile, collection="hardware_profiles")
    await ground.caught_up()
    last: Interval = (await ground.usage.intervals())[-1]
    assert (last.vcpus, last.memory_mib) == (2, 1025)
    assert await ground.total(0, 100) == 90
