"""The cloud misbehaves as it is told to."""

from collections.abc import Awaitable

import msgspec
import pytest

from nimbi.driver.interface import Account
from nimbi.drivers.mock import DRIVER, driver_over
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.faults import (
    Faults,
    Latency,
    LostReply,
    NoCapacity,
    Outage,
    Quota,
    ShortPage,
    StaleList,
    Throttle,
)
from nimbi.drivers.mock.hardware_profiles import MockHardwareProfiles
from nimbi.drivers.mock.images import MockImages
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.session import LOGIN, Session
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    OutOfCapacity,
    QuotaExceeded,
    Throttled,
    Unauthorized,
    UnknownOutcome,
)
from nimbi.model.instances import NewInstance
from nimbi.model.volumes import NewVolume

ONE = NewInstance(image_id="img1")


async def fails(call: Awaitable[object]) -> bool:
    try:
        await call
    except CloudError:
        return True
    return False


async def test_there_are_no_faults_at_first(cloud: MockCloud) -> None:
    assert cloud.injector is None
    cloud.faults = Faults(outage=Outage())
    assert cloud.injector is not None
    cloud.faults = Faults()
    assert cloud.injector is None


async def test_in_an_outage_nothing_answers_and_nothing_is_done(
    cloud: MockCloud, session: Session
) -> None:
    cloud.faults = Faults(outage=Outage())
    for call in (MockInstances(session).create(ONE), MockHardwareProfiles(session).get("opaque")):
        with pytest.raises(CloudUnavailable):
            await call
    cloud.faults = Faults()
    assert len((await MockInstances(session).page(None, 9)).items) == 4


async def test_a_fault_is_limited_to_operations(cloud: MockCloud, session: Session) -> None:
    cloud.faults = Faults(outage=Outage(operations=("instances.*", "volumes.page")))
    assert await fails(MockInstances(session).get("inst0"))
    assert await fails(MockVolumes(session).page(None, 1))
    assert not await fails(MockVolumes(session).get("vol1"))
    assert not await fails(MockImages(session).page(None, 1))


async def test_a_fault_is_limited_to_the_next_calls(cloud: MockCloud, session: Session) -> None:
    cloud.faults = Faults(outage=Outage(calls=2))
    seen = [await fails(MockInstances(session).get("inst0")) for _ in range(4)]
    assert seen == [True, True, False, False]


async def test_chance_is_the_same_for_the_same_seed(cloud: MockCloud, session: Session) -> None:
    async def seen(seed: int) -> list[bool]:
        cloud.faults = Faults(seed=seed, outage=Outage(probability=0.5))
        return [await fails(MockInstances(session).get("inst0")) for _ in range(64)]

    first = await seen(1)
    assert await seen(1) == first
    assert await seen(2) != first
    assert 16 < sum(first) < 48


@pytest.mark.looptime
async def test_latency_takes_its_time(looptime: float, cloud: MockCloud, session: Session) -> None:
    cloud.faults = Faults(latency=Latency(seconds=5, jitter_s=2))
    start = float(looptime)
    await MockInstances(session).get("inst0")
    assert 5 <= float(looptime) - start <= 7


async def test_every_nth_call_is_throttled(cloud: MockCloud, session: Session) -> None:
    cloud.faults = Faults(throttle=Throttle(every=3, retry_after_s=7))
    seen = [await fails(MockInstances(session).get("inst0")) for _ in range(6)]
    assert seen == [False, False, True, False, False, True]


async def test_throttling_tells_when_to_come_back(cloud: MockCloud, session: Session) -> None:
    cloud.faults = Faults(throttle=Throttle(retry_after_s=7))
    with pytest.raises(Throttled) as caught:
        await MockInstances(session).create(ONE)
    assert caught.value.retry_after_s == 7
    assert len(cloud.world.state.instances) == 4


async def test_calls_above_a_rate_are_throttled(
    cloud: MockCloud, session: Session, now: list[float]
) -> None:
    instances = MockInstances(session)
    cloud.faults = Faults(throttle=Throttle(per_s=2))
    assert [await fails(instances.get("inst0")) for _ in range(3)] == [False, False, True]
    with pytest.raises(Throttled) as caught:
        await instances.get("inst0")
    assert caught.value.retry_after_s == 0.5
    now[0] += 0.5
    assert [await fails(instances.get("inst0")) for _ in range(2)] == [False, True]


async def test_there_is_no_room_for_another_instance(cloud: MockCloud, session: Session) -> None:
    cloud.faults = Faults(out_of_capacity=NoCapacity())
    for call in (
        MockInstances(session).create(ONE),
        MockInstances(session).create_many(ONE, 2),
    ):
        with pytest.raises(OutOfCapacity):
            await call
    await MockVolumes(session).create(NewVolume())


async def test_a_quota_limits_the_number_of_instances(cloud: MockCloud, session: Session) -> None:
    instances = MockInstances(session)
    cloud.faults = Faults(quota=Quota(instances=6))
    with pytest.raises(QuotaExceeded):
        await instances.create_many(ONE, 3)
    wish = NewInstance(image_id="img1", token="a")
    made = await instances.create_many(wish, 2)
    with pytest.raises(QuotaExceeded):
        await instances.create(ONE)
    assert await instances.create_many(wish, 2) == made


async def test_a_lost_reply_comes_after_the_work(cloud: MockCloud, session: Session) -> None:
    instances = MockInstances(session)
    cloud.faults = Faults(lost_reply=LostReply(calls=1))
    wish = NewInstance(image_id="img1", token="a")
    await instances.page(None, 9)
    with pytest.raises(UnknownOutcome):
        await instances.create(wish)
    assert (await instances.create(wish)).id == "inst4"
    assert len((await instances.page(None, 9)).items) == 5


async def test_a_stale_list_is_some_changes_old(cloud: MockCloud, session: Session) -> None:
    instances = MockInstances(session)
    cloud.faults = Faults(stale_list=StaleList(changes=2))
    counts = []
    for _ in range(4):
        await instances.create(ONE)
        counts.append(len((await instances.page(None, 100)).items))
    assert counts == [4, 4, 5, 6]
    assert (await instances.get("inst7")).id == "inst7"


async def test_a_stale_list_is_some_seconds_old(
    cloud: MockCloud, session: Session, now: list[float]
) -> None:
    instances = MockInstances(session)
    cloud.faults = Faults(stale_list=StaleList(age_s=10))
    counts = []
    for _ in range(5):
        await instances.create(ONE)
        now[0] += 4
        counts.append(len((await instances.page(None, 100)).items))
    assert counts == [4, 4, 5, 6, 7]


async def test_a_short_page_has_a_marker_for_the_rest(cloud: MockCloud, session: Session) -> None:
    instances = MockInstances(session)
    cloud.faults = Faults(short_page=ShortPage(size=3))
    first = await instances.page(None, 100)
    assert len(first.items) == 3
    second = await instances.page(marker=first.next, limit=100)
    assert [instance.id for instance in second.items] == ["inst3"]
    assert second.next is None


async def test_a_login_is_needed_before_any_fault(cloud: MockCloud) -> None:
    cloud.faults = Faults(outage=Outage())
    async with DRIVER.open(cloud, Account(None)) as session:
        with pytest.raises(Unauthorized):
            await MockInstances(session).get("inst0")


def test_faults_are_read_from_settings() -> None:
    settings = msgspec.convert(
        {
            "storage": None,
            "faults": {
                "seed": 3,
                "latency": {"seconds": 0.1, "operations": ["instances.*"]},
                "quota": {"instances": 5},
            },
        },
        Settings,
    )
    assert settings.faults == Faults(
        seed=3,
        latency=Latency(seconds=0.1, operations=("instances.*",)),
        quota=Quota(instances=5),
    )


@pytest.mark.parametrize(
    "faults",
    [
        {"latency": {}},
        {"latency": {"seconds": -1}},
        {"outage": {"probability": 2}},
        {"outage": {"chance": 1}},
        {"throttle": {"per_s": 0}},
        {"earthquake": {}},
    ],
)
def test_a_fault_that_cannot_be_is_refused(faults: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"faults": faults}, Settings)


async def test_a_driver_over_a_held_cloud_leaves_it_open(cloud: MockCloud) -> None:
    driver = driver_over(cloud)
    async with driver.start(None, None) as backend:  # type: ignore[arg-type]
        assert backend is cloud
    async with driver.open(cloud, Account(LOGIN)) as session:
        assert len((await MockInstances(session).page(None, 9)).items) == 4
