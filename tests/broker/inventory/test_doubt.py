"""What nobody was told of is looked at soon: after a lost answer, and when a process has died."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.broker.inventory.test_poller import known, polled
from tests.broker.sites import Site, soon
from tests.broker.whole import Whole

from nimbi.broker.access import ADMIN
from nimbi.broker.inventory.poller import PROCESS
from nimbi.broker.inventory.wishes import Wish
from nimbi.driver.compute import Instances
from nimbi.drivers.mock.faults import Faults, LostReply
from nimbi.model.errors import CloudError, Conflict, Invalid, NotFound, UnknownOutcome
from nimbi.model.instances import NewInstance
from nimbi.store.inventory import InventoryStore
from nimbi.store.leases import LeaseStore

HOUR = timedelta(hours=1)


async def is_due(whole: Whole, collection: str) -> bool:
    """Return whether an account is to be asked within a minute; it was to be after an hour."""
    state = await InventoryStore(whole.broker.database).state("one", collection)
    return state is not None and state.next_at < datetime.now(UTC) + HOUR / 60


async def put_off(store: InventoryStore) -> None:
    for collection in ("instances", "volumes"):
        await store.polls.schedule("one", collection, datetime.now(UTC) + HOUR, 3600.0)


@pytest.fixture
async def told(whole: Whole) -> Whole:
    """Return a broker that knows all instances of its account, and has time."""
    await whole.add("one")
    await whole.broker.inventory.list(Wish(collection="instances"))
    # Until all is kept.
    await whole.broker.inventory.aclose()
    await put_off(InventoryStore(whole.broker.database))
    return whole


async def test_a_call_whose_answer_was_lost_has_the_cloud_asked_soon(told: Whole) -> None:
    told.clouds["one"].faults = Faults(lost_reply=LostReply(operations=("*.stop",)))
    async with told.broker.use(ADMIN, "one") as cloud:
        with pytest.raises(UnknownOutcome):
            await cloud.call(Instances.stop, "inst0")
    assert await is_due(told, "instances")
    # Its neighbours too: stopping may have changed what is attached.
    assert await is_due(told, "volumes")


@pytest.mark.parametrize(
    ("operation", "argument", "error", "right"),
    [
        # Somebody else has started it.
        (Instances.start, "inst0", Conflict, True),
        # Somebody else has removed it.
        (Instances.stop, "inst99", NotFound, True),
        (Instances.create, NewInstance(image_id="no such"), Invalid, False),
    ],
    ids=["conflict", "gone", "a wish that is wrong"],
)
async def test_a_refusal_that_tells_of_another_state_does_so_too(
    told: Whole, operation: object, argument: object, error: type[CloudError], right: bool
) -> None:
    async with told.broker.use(ADMIN, "one") as cloud:
        with pytest.raises(error):
            await cloud.call(operation, argument)
    assert await is_due(told, "instances") is right


async def test_when_a_process_has_died_all_clouds_are_asked_again(site: Site) -> None:
    await site.add("one")
    async with site.inventory.polling():
        await soon(lambda: polled(site))
    await put_off(site.store)
    async with site.cloud("one") as cloud:
        made = await cloud.call(Instances.create, NewInstance(image_id="img1"))
    leases = LeaseStore(site.database)
    await leases.take(f"{PROCESS}dead", "dead", 0.2)
    async with site.inventory.polling():
        await soon(lambda: _is_known(site, made.id))
        assert await leases.held(PROCESS) == {f"{PROCESS}this": "this"}


async def _is_known(site: Site, id: str) -> bool:
    return id in await known(site)


async def test_one_that_ended_in_good_order_is_not_taken_for_dead(site: Site) -> None:
    await site.add("one")
    async with site.inventory.polling():
        await soon(lambda: polled(site))
    assert await LeaseStore(site.database).drop_lost(PROCESS) == ()
