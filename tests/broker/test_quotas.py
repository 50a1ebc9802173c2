"""Quotas, limits and whose things are, at every call to a cloud."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.broker.whole import Whole

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.inventory import listing
from nimbi.broker.inventory.bodies import thing_of
from nimbi.broker.inventory.wishes import Row, Wish
from nimbi.broker.ledger.reservation import reservation
from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.compute import HardwareProfiles, Images, Instances, Metrics, Quotas
from nimbi.driver.network import Addresses
from nimbi.driver.storage import Snapshots, Volumes
from nimbi.drivers.mock.faults import Faults, LostReply, NoCapacity, Outage
from nimbi.model.audit import AuditFilter
from nimbi.model.buckets import BlobPlace, NewBlob, NewBucket
from nimbi.model.errors import (
    CloudError,
    Forbidden,
    Invalid,
    NotFound,
    OutOfCapacity,
    QuotaExceeded,
    UnknownOutcome,
)
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.holdings import Limit
from nimbi.model.images import NewImage
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.metering import Meter, NewPrice, NewPrices
from nimbi.model.snapshots import NewSnapshot
from nimbi.model.tokens import Scope
from nimbi.model.volumes import NewVolume, VolumeTarget
from nimbi.store.inventory import InventoryStore
from nimbi.store.quotas import Path

GIB = 1 << 30


def caller(*path: str, owned: frozenset[str] | None = frozenset()) -> Caller:
    """Return somebody who may do everything in a tenant."""
    return Caller(
        id=f"t-{path[-1]}",
        name=path[-1],
        scopes=(Scope(),),
        user=f"u-{path[-1]}",
        tenant=path[-1],
        path=path,
        owned=owned,
    )


WEB = caller("root", "acme", "web")
SHOP = caller("root", "acme", "shop")
ACME = caller("root", "acme")
SMALL = NewInstance(image_id="img1", hardware_profile_id="m1-small")
LARGE = NewInstance(image_id="img1", hardware_profile_id="m1-large")


@pytest.fixture
async def one(whole: Whole) -> AsyncIterator[Whole]:
    """Give a broker with one account."""
    await whole.add("one")
    yield whole
    assert await whole.broker.quotas.recount(mend=False) == ()


async def call(
    whole: Whole, who: Caller, operation: Callable[..., Awaitable[Any]], *args: Any
) -> Any:
    async with whole.broker.use(who, "one") as cloud:
        return await cloud.call(operation, *args)


async def made(whole: Whole, who: Caller, new: NewInstance = SMALL) -> Instance:
    found: Instance = await call(whole, who, Instances.create, new)
    return found


async def removed(whole: Whole, who: Caller, id: str) -> None:
    await call(whole, who, Instances.stop, id)
    await call(whole, who, Instances.destroy, id)


async def used(whole: Whole, tenant: str) -> dict[str, int]:
    """Return what a tenant has of what it has at all."""
    found = await whole.broker.ground.holdings.quotas.of([tenant])
    return {quota.resource: quota.used for quota in found if quota.used}


async def limit(whole: Whole, tenant: str, **limits: int | None) -> None:
    await whole.broker.ground.holdings.quotas.limit(tenant, limits)


async def ids(whole: Whole, who: Caller, page: Any = Instances.page) -> set[str]:
    return {item.id for item in (await call(whole, who, page, None, 100)).items}


async def test_an_instance_counts_as_its_hardware_profile_says(one: Whole) -> None:
    instance = await made(one, WEB, LARGE)
    assert await used(one, "web") == {"instances": 1, "vcpus": 1, "memory_mib": 10240}
    assert await used(one, "acme") == await used(one, "root") == await used(one, "web")
    await removed(one, WEB, instance.id)
    assert await used(one, "acme") == {}


async def test_chosen_sizes_count_instead(one: Whole) -> None:
    sizes = Sizes(cpus=4, memory_mib=8000)
    await made(one, WEB, NewInstance(image_id="img1", hardware_profile_id="m1-large", sizes=sizes))
    assert await used(one, "web") == {"instances": 1, "vcpus": 4, "memory_mib": 8000}


async def test_a_size_that_the_cloud_chooses_counts_when_it_is_known(one: Whole) -> None:
    await made(one, WEB, NewInstance(image_id="img1"))
    assert await used(one, "web") == {"instances": 1, "vcpus": 1, "memory_mib": 1741}
    await limit(one, "acme", vcpus=10)
    with pytest.raises(Invalid, match="name a hardware profile"):
        await made(one, WEB, NewInstance(image_id="img1"))


async def test_nothing_is_asked_of_the_cloud_beyond_a_quota(one: Whole) -> None:
    await limit(one, "acme", instances=1)
    instance = await made(one, WEB)
    before = await ids(one, ADMIN)
    with pytest.raises(QuotaExceeded) as caught:
        await made(one, SHOP)
    assert (caught.value.tenant, caught.value.resource) == ("acme", "instances")
    assert await ids(one, ADMIN) == before
    await removed(one, WEB, instance.id)
    await made(one, SHOP)


async def test_several_at_once_count_each(one: Whole) -> None:
    await limit(one, "web", instances=4)
    await call(one, WEB, Instances.create_many, SMALL, 3)
    assert (await used(one, "web"))["instances"] == 3
    with pytest.raises(QuotaExceeded):
        await call(one, WEB, Instances.create_many, SMALL, 2)


async def test_fifty_launches_at_once_get_ten(one: Whole) -> None:
    await limit(one, "acme", instances=10)
    before = await ids(one, ADMIN)
    callers = [WEB if number % 2 else SHOP for number in range(50)]
    ends = await asyncio.gather(*(made(one, who) for who in callers), return_exceptions=True)
    assert sum(isinstance(end, Instance) for end in ends) == 10
    assert sum(isinstance(end, QuotaExceeded) for end in ends) == 40
    assert len(await ids(one, ADMIN)) == len(before) + 10


async def test_what_failed_is_given_back(one: Whole) -> None:
    one.clouds["one"].faults = Faults(outage=Outage())
    with pytest.raises(CloudError):
        await made(one, WEB)
    one.clouds["one"].faults = Faults()
    assert await used(one, "web") == {}


async def test_what_is_refused_after_an_answer_was_lost_may_be_there(one: Whole) -> None:
    cloud, intents = one.clouds["one"], one.broker.ground.intents
    again = msgspec.structs.replace(SMALL, token="again")
    before = await ids(one, ADMIN)
    cloud.faults = Faults(lost_reply=LostReply(operations=("instances.create",)))
    with pytest.raises(CloudError):
        await made(one, WEB, again)
    # Whoever is refused now is not told that nothing was made, and what was made counts.
    cloud.faults = Faults(out_of_capacity=NoCapacity())
    with pytest.raises(UnknownOutcome, match="may have been made before"):
        await made(one, WEB, again)
    assert [intent.token for intent in await intents.abandoned()] == ["again"]
    assert (await used(one, "web"))["instances"] == 1
    # A first attempt that is refused has made nothing.
    with pytest.raises(OutOfCapacity):
        await made(one, WEB, msgspec.structs.replace(SMALL, token="once"))
    assert (await used(one, "web"))["instances"] == 1
    cloud.faults = Faults()
    instance = await made(one, WEB, again)
    assert await ids(one, ADMIN) - before == {instance.id}
    assert await intents.abandoned() == ()
    assert await ids(one, WEB) == {instance.id}


async def test_what_is_gone_when_it_is_destroyed_leaves_the_list(one: Whole) -> None:
    instance = await made(one, WEB)
    things = InventoryStore(one.broker.ground.database)
    place = ("one", "instances", instance.id)
    one.broker.inventory.forget("one")
    async with one.broker.accounts.use("one") as cloud:
        page = await cloud.call(Instances.page, None, 100)
        found = [thing_of("one", "instances", each) for each in page.items]
        await things.replace("one", "instances", found, datetime.now(UTC))
        # By hand: nobody is told.
        await cloud.call(Instances.stop, instance.id)
        await cloud.call(Instances.destroy, instance.id)
    # Another tenant learns nothing, and changes nothing.
    with pytest.raises(NotFound):
        await call(one, SHOP, Instances.destroy, instance.id)
    assert (await things.thing(*place)).id == instance.id
    with pytest.raises(NotFound):
        await call(one, WEB, Instances.destroy, instance.id)
    with pytest.raises(NotFound):
        await things.thing(*place)
    assert await used(one, "web") == {}


async def test_volumes_snapshots_and_addresses_count(one: Whole) -> None:
    volume = await call(one, WEB, Volumes.create, NewVolume(size_gib=3))
    snapshot = await call(one, WEB, Snapshots.create, NewSnapshot(volume_id=volume.id))
    assert await used(one, "web") == {"volumes": 1, "volume_bytes": 3 * GIB, "snapshots": 1}
    await call(one, WEB, Snapshots.destroy, snapshot.id)
    await call(one, WEB, Volumes.destroy, volume.id)
    assert await used(one, "web") == {}
    with pytest.raises(NotFound):
        await call(one, WEB, Volumes.destroy, volume.id)


async def test_a_thing_that_grows_counts_for_more(one: Whole) -> None:
    volume = await call(one, WEB, Volumes.create, NewVolume(size_gib=3))
    await limit(one, "web", volume_bytes=5 * GIB)
    await call(one, WEB, Volumes.resize, volume.id, 5)
    assert (await used(one, "web"))["volume_bytes"] == 5 * GIB
    with pytest.raises(QuotaExceeded):
        await call(one, WEB, Volumes.resize, volume.id, 6)
    with pytest.raises(Invalid):
        await call(one, WEB, Volumes.resize, volume.id, 1)
    assert (await used(one, "web"))["volume_bytes"] == 5 * GIB


async def test_an_instance_of_another_size_counts_for_that(one: Whole) -> None:
    instance = await made(one, WEB, LARGE)
    await call(one, WEB, Instances.stop, instance.id)
    await call(one, WEB, Instances.resize, instance.id, Sizes(cpus=4))
    assert (await used(one, "web"))["vcpus"] == 4
    await call(one, WEB, Instances.resize, instance.id, Sizes(cpus=2))
    assert (await used(one, "web"))["vcpus"] == 2
    await limit(one, "web", vcpus=3)
    with pytest.raises(QuotaExceeded):
        await call(one, WEB, Instances.resize, instance.id, Sizes(cpus=4))


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_blobs_count_by_their_bytes(one: Whole) -> None:
    await call(one, WEB, Buckets.create, NewBucket(name="mine"))

    async def write(content: bytes, size: int | None) -> None:
        new = NewBlob(bucket_id="mine", id="b", size_bytes=size)
        await call(one, WEB, Blobs.write, new, _chunks(content))

    await write(b"12345", 5)
    assert await used(one, "web") == {"blob_bytes": 5}
    await write(b"123", None)
    assert await used(one, "web") == {"blob_bytes": 3}
    copy = NewBlob(bucket_id="mine", id="c")
    await limit(one, "web", blob_bytes=6)
    await call(one, WEB, Blobs.copy, BlobPlace("mine", "b"), copy)
    assert await used(one, "web") == {"blob_bytes": 6}
    with pytest.raises(QuotaExceeded):
        await write(b"1234", 4)
    # A broken write leaves what was there.
    with pytest.raises(Invalid):
        await write(b"12", 3)
    assert await used(one, "web") == {"blob_bytes": 6}
    await call(one, WEB, Blobs.destroy_many, "mine", ("b", "c", "nothing"))
    assert await used(one, "web") == {}


async def test_a_tenant_sees_and_touches_only_its_own(one: Whole) -> None:
    mine, theirs = await made(one, WEB), await made(one, SHOP)
    assert await ids(one, WEB) == {mine.id}
    assert await ids(one, ACME) == {mine.id, theirs.id}
    assert {mine.id, theirs.id, "inst0"} <= await ids(one, ADMIN)
    assert await ids(one, WEB, Metrics.page) <= {mine.id}
    assert await ids(one, WEB, Quotas.page) == set()
    for id in (theirs.id, "inst0"):
        for operation in (Instances.get, Instances.stop, Instances.console):
            with pytest.raises(NotFound):
                await call(one, WEB, operation, id)
    await call(one, ACME, Instances.stop, theirs.id)


async def test_what_others_have_cannot_be_named_either(one: Whole) -> None:
    mine, theirs = await made(one, WEB), await made(one, SHOP)
    volume = await call(one, WEB, Volumes.create, NewVolume(size_gib=1))
    other = await call(one, SHOP, Volumes.create, NewVolume(size_gib=1))
    refused: list[tuple[Any, ...]] = [
        (Volumes.attach, volume.id, VolumeTarget(instance_id=theirs.id)),
        (Volumes.attach, other.id, VolumeTarget(instance_id=mine.id)),
        (Volumes.create, NewVolume(snapshot_id="snap1")),
        (Snapshots.create, NewSnapshot(volume_id=other.id)),
        (Images.create, NewImage(instance_id=theirs.id, name="stolen")),
        (Instances.create, NewInstance(image_id="img1", key_id="test-key")),
        (Addresses.associate, "192.168.0.1", mine.id),
        (Blobs.page, "bucket1", None, 10),
    ]
    for operation, *args in refused:
        with pytest.raises(NotFound):
            await call(one, WEB, operation, *args)
    assert (await used(one, "web"))["volumes"] == 1


async def test_what_the_account_offers_to_all_may_be_used_and_not_changed(one: Whole) -> None:
    assert "img1" in await ids(one, WEB, Images.page)
    assert "m1-small" in await ids(one, WEB, HardwareProfiles.page)
    with pytest.raises(Forbidden):
        await call(one, WEB, Images.destroy, "img1")


async def test_what_nobody_made_here_is_the_account_owners(one: Whole) -> None:
    owner = caller("root", "acme", owned=frozenset({"one"}))
    mine = await made(one, WEB)
    theirs = await made(one, caller("root", "else"))
    assert {mine.id, "inst0"} <= await ids(one, owner)
    assert theirs.id not in await ids(one, owner)


async def listed(whole: Whole, collection: str = "instances") -> None:
    """Have the inventory know what the cloud holds."""
    for is_fresh in (True, False):
        # The second waits until what the first has told is kept.
        await whole.broker.inventory.list(Wish(collection=collection, fresh=is_fresh))


async def test_a_thing_is_adopted_by_who_may_and_counts_then(one: Whole) -> None:
    quotas = one.broker.quotas
    web = Path(WEB.path)
    with pytest.raises(NotFound):
        await quotas.adopt(WEB, "one", "instances", "inst1", web)
    await quotas.adopt(ADMIN, "one", "instances", "inst1", web)
    assert await ids(one, WEB) == {"inst1"}
    assert await used(one, "web") == {"instances": 1, "vcpus": 1, "memory_mib": 1741}
    await quotas.adopt(ACME, "one", "instances", "inst1", Path(SHOP.path))
    assert await ids(one, WEB) == set()
    assert (await used(one, "acme"))["instances"] == 1
    await limit(one, "web", instances=0)
    with pytest.raises(QuotaExceeded):
        await quotas.adopt(ACME, "one", "instances", "inst1", web)
    assert await ids(one, SHOP) == {"inst1"}


async def test_limits_are_checked_before_the_call(one: Whole) -> None:
    limits = one.broker.limits
    await limits.set(Limit(tenant="acme", account="one", regions=("u*",), sizes=("m1-small",)))
    us = NewInstance(image_id="img1", hardware_profile_id="m1-small", realm_id="us")
    await made(one, WEB, us)
    await made(one, caller("root", "else"), LARGE)
    for new in (
        NewInstance(image_id="img1", hardware_profile_id="m1-small", realm_id="eu"),
        NewInstance(image_id="img1", hardware_profile_id="m1-large", realm_id="us"),
        NewInstance(image_id="img1", hardware_profile_id="m1-small"),
        NewInstance(image_id="img1", realm_id="us"),
    ):
        with pytest.raises(Forbidden, match="acme may use the "):
            await made(one, WEB, new)
    await limits.remove("acme", "one")
    await made(one, WEB, LARGE)
    with pytest.raises(NotFound):
        await limits.remove("acme", "one")


async def test_a_limit_on_the_price_refuses_what_has_none(one: Whole) -> None:
    await one.broker.limits.set(Limit(tenant="web", account="one", price_hour_micros=100_000))
    with pytest.raises(Forbidden, match="no price"):
        await made(one, WEB)
    quotas = await one.broker.quotas.of(Path(SHOP.path))
    assert {quota.unpriced for quota in quotas} == {0}
    await made(one, SHOP)
    prices = [q for q in await one.broker.quotas.of(Path(SHOP.path)) if "price" in q.resource]
    assert [(quota.used, quota.unpriced) for quota in prices] == [(0, 1), (0, 1)]


async def test_calls_are_in_the_audit_before_and_after(one: Whole) -> None:
    await limit(one, "web", instances=1)
    instance = await made(one, WEB)
    with pytest.raises(QuotaExceeded):
        await made(one, WEB)
    entries = await one.broker.audit.page(
        AuditFilter(all_phases=True), after=0, before=None, limit=100
    )
    told = [(e.operation, e.phase, e.result) for e in entries if e.operation == "instances.create"]
    assert [(phase, result) for _, phase, result in told] == [
        ("begun", "open"),
        ("ended", "ok"),
        ("told", "quota_exceeded"),
    ]
    assert instance.id in {entry.thing for entry in entries}


async def test_what_vanished_from_its_cloud_is_given_back_after_some_lists(one: Whole) -> None:
    instance = await made(one, WEB)
    # Somebody removes it by other means.
    async with one.broker.accounts.use("one") as cloud:
        await cloud.call(Instances.stop, instance.id)
        await cloud.call(Instances.destroy, instance.id)
    store, quotas = one.broker.ground.holdings, one.broker.quotas
    now = datetime.now(UTC)
    things = InventoryStore(one.broker.database)
    await things.replace("one", "instances", [], now + timedelta(minutes=1))
    for minute in range(1, 4):
        assert (await used(one, "web"))["instances"] == 1
        await quotas.looked("one", "instances", now + timedelta(minutes=minute))
    assert await used(one, "web") == {}
    assert await store.owner_of("one", "instances", instance.id) is None


@pytest.mark.parametrize("is_fresh", [True, False])
@pytest.mark.parametrize("few", [0, 2000])
async def test_lists_over_accounts_have_only_what_is_ones_own(
    one: Whole, is_fresh: bool, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FEW", few)
    mine, other = await made(one, WEB), await made(one, WEB)
    theirs = await made(one, SHOP)
    await listed(one)
    await listed(one, "images")
    await listed(one, "hardware_profiles")

    async def found(who: Caller, collection: str = "instances", **wish: Any) -> set[str]:
        wish = {"collection": collection, "fresh": is_fresh, "accounts": ("one",), **wish}
        items = (await one.broker.inventory.list(Wish(caller=who, **wish))).items
        return {msgspec.json.decode(item)["id"] for item in items}

    assert await found(WEB) == {mine.id, other.id}
    assert await found(ACME) == {mine.id, other.id, theirs.id}
    assert await found(WEB, filters={"id": theirs.id}) == set()
    assert len(await found(WEB, limit=1)) == 1
    assert "inst0" in await found(caller("root", "acme", owned=frozenset({"one"})))
    assert theirs.id not in await found(caller("root", "x", owned=frozenset({"one"})))
    assert "img1" in await found(WEB, "images")
    assert "m1-small" in await found(WEB, "hardware_profiles")
    assert await found(WEB, "quotas") == set()
    rows = one.broker.inventory.stream(Wish(collection="instances", caller=SHOP))
    assert [row.id async for row in rows if isinstance(row, Row)] == [theirs.id]


async def test_a_job_reserves_what_its_steps_make_then(one: Whole) -> None:
    ground, tokens = one.broker.ground, ("job-1", "job-2", "job-3")
    await limit(one, "web", instances=3)
    async with one.broker.use(WEB, "one") as cloud:
        names = dict.fromkeys(tokens, "web")
        along = await reservation(ground, WEB, "one", SMALL, names, cloud.call)
        async with one.broker.database.writing() as connection:
            await along(connection, "the-job")
        with pytest.raises(QuotaExceeded):
            await cloud.call(Instances.create, SMALL)
        for token in tokens[:2]:
            await cloud.call(Instances.create, msgspec.structs.replace(SMALL, token=token))
    assert (await used(one, "web"))["instances"] == 3
    await ground.holdings.ended("the-job")
    assert (await used(one, "web"))["instances"] == 2


async def test_what_has_a_price_counts_as_money(one: Whole) -> None:
    prices = one.broker.metering.prices
    price = NewPrice(meter=Meter.RUNNING, amount=Decimal("0.5"), currency="EUR")
    new = NewPrices(prices=(price,))
    await prices.add(prices.read(new), new)
    await limit(one, "web", price_hour_micros=900_000)
    await made(one, WEB)
    assert (await used(one, "web"))["price_hour_micros"] == 500_000
    assert (await used(one, "web"))["price_month_micros"] == 500_000 * 730
    with pytest.raises(QuotaExceeded, match=r"is 0\.9 price_hour: 0\.5 taken, 0\.5 more"):
        await made(one, WEB)
    await one.broker.limits.set(Limit(tenant="shop", account="one", price_hour_micros=400_000))
    with pytest.raises(Forbidden, match=r"0\.4 an hour: not 0\.5"):
        await made(one, SHOP)
