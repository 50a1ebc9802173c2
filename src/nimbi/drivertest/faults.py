"""What callers meet when a cloud misbehaves: for drivers that can be told to."""

import asyncio
from typing import Protocol

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs
from nimbi.drivertest.streams import read, write
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket
from nimbi.model.errors import (
    CloudUnavailable,
    OutOfCapacity,
    QuotaExceeded,
    Throttled,
    Timeout,
    UnknownOutcome,
)
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.volumes import NewVolume

# Longer than any test may take, and how long one of them waits.
ENDLESS_S = 600.0
SHORT_S = 0.02


class FaultSwitch(Protocol):
    """Makes a cloud misbehave from now on. Each call replaces the fault before it.

    `operation` is an id (`instances.create`), `calls` is how many of its calls meet the fault, None
    being all of them.
    """

    def throttle(self, operation: str, calls: int | None, retry_after_s: float) -> None:
        """Refuse calls with Throttled, doing nothing."""

    def lose_reply(self, operation: str, calls: int | None) -> None:
        """Do the work, then raise UnknownOutcome."""

    def outage(self, operation: str, calls: int | None) -> None:
        """Refuse calls with CloudUnavailable, doing nothing."""

    def delay(self, operation: str, seconds: float) -> None:
        """Let calls take so long before anything is done."""

    def shorten_pages(self, size: int) -> None:
        """Give fewer items on each page than were asked for, with a marker for the rest."""

    def age_lists(self, changes: int) -> None:
        """Give lists as they were before the last changes."""

    def out_of_capacity(self) -> None:
        """Refuse new instances with OutOfCapacity."""

    def quota(self, instances: int) -> None:
        """Refuse new instances with QuotaExceeded when there would be more than this."""

    def mend(self) -> None:
        """Behave well again."""


class ConformsUnderFaults(Conformance):
    """An author gives `faults`, the switch of `cloud`.

    It is a fixture that uses `made` and mends at its end, so that things are taken down after that.
    The cloud's limits must allow four attempts with pauses of some milliseconds.
    """

    @needs(Volumes.create, Volumes.get)
    async def test_throttled_calls_are_made_again(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_volume: NewVolume
    ) -> None:
        await made.watch(Volumes)
        before = await made.listed(Volumes)
        faults.throttle("volumes.create", 2, 0.001)
        volume = await made.create(Volumes, new_volume)
        faults.mend()
        assert await made.listed(Volumes) - before == {volume.id}

    @needs(Volumes.page)
    async def test_who_is_throttled_for_long_is_told_when_to_come_back(
        self, cloud: Cloud, faults: FaultSwitch
    ) -> None:
        faults.throttle("volumes.page", None, ENDLESS_S)
        with pytest.raises(Throttled) as refused:
            await cloud.call(Volumes.page, None, 10)
        assert refused.value.retry_after_s == ENDLESS_S

    @needs(Instances.create, Instances.page)
    async def test_a_lost_reply_does_not_double_an_instance(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_instance: NewInstance
    ) -> None:
        await made.watch(Instances)
        before = await made.listed(Instances)
        faults.lose_reply("instances.create", 2)
        new = await made.create(Instances, new_instance)
        faults.mend()
        assert await made.listed(Instances) - before == {new.id}

    @needs(Volumes.create, Volumes.page)
    async def test_a_lost_reply_does_not_double_a_volume(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_volume: NewVolume
    ) -> None:
        await made.watch(Volumes)
        before = await made.listed(Volumes)
        faults.lose_reply("volumes.create", 2)
        new = await made.create(Volumes, new_volume)
        faults.mend()
        assert await made.listed(Volumes) - before == {new.id}

    @needs(Volumes.create, Volumes.destroy, Volumes.page)
    async def test_a_destroy_whose_reply_was_lost_has_gone_well(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_volume: NewVolume
    ) -> None:
        new = await made.create(Volumes, new_volume)
        faults.lose_reply("volumes.destroy", 1)
        await cloud.call(Volumes.destroy, new.id)
        faults.mend()
        assert new.id not in await made.listed(Volumes)

    @needs(Instances.stop, Instances.get, Instances.create)
    async def test_a_stop_whose_reply_was_lost_is_not_made_again(
        self, cloud: Cloud, faults: FaultSwitch, instance: Instance
    ) -> None:
        faults.lose_reply("instances.stop", 1)
        with pytest.raises(UnknownOutcome):
            await cloud.call(Instances.stop, instance.id)
        faults.mend()
        assert (await cloud.call(Instances.get, instance.id)).state is not instance.state

    @needs(Blobs.write, Blobs.read)
    async def test_a_write_whose_reply_was_lost_is_there_whole(
        self, cloud: Cloud, faults: FaultSwitch, bucket: Bucket
    ) -> None:
        faults.lose_reply("blobs.write", 1)
        with pytest.raises(UnknownOutcome):
            await write(cloud, bucket.id, "a blob", b"content")
        faults.mend()
        assert await read(cloud, bucket.id, "a blob") == b"content"

    @needs(Volumes.create, Volumes.page)
    @pytest.mark.parametrize("size", [1, 2])
    async def test_short_pages_lose_nothing(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_volume: NewVolume, size: int
    ) -> None:
        for _ in range(3):
            await made.create(Volumes, new_volume)
        whole = [volume.id async for volume in cloud.each(Volumes.page)]
        faults.shorten_pages(size)
        assert [volume.id async for volume in cloud.each(Volumes.page)] == whole

    @needs(Instances.create, Instances.get, Instances.page)
    async def test_a_new_instance_is_found_while_lists_are_old(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_instance: NewInstance
    ) -> None:
        await made.watch(Instances)
        faults.age_lists(1)
        new = await made.create(Instances, new_instance)
        assert new.id not in await made.listed(Instances)
        found = await cloud.wait(
            Instances.get,
            new.id,
            until=set(cloud.driver.instance_states.states),
            timeout_s=self.patience_s,
        )
        assert found.id == new.id
        faults.mend()
        assert new.id in await made.listed(Instances)

    @needs(Volumes.page)
    async def test_a_short_outage_is_not_noticed(self, cloud: Cloud, faults: FaultSwitch) -> None:
        faults.outage("volumes.page", 2)
        await cloud.call(Volumes.page, None, 10)

    @needs(Volumes.create, Volumes.page)
    async def test_an_outage_is_told_and_nothing_is_done_in_it(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_volume: NewVolume
    ) -> None:
        await made.watch(Volumes)
        before = await made.listed(Volumes)
        faults.outage("*", None)
        with pytest.raises(CloudUnavailable):
            await cloud.call(Volumes.create, new_volume)
        faults.mend()
        assert await made.listed(Volumes) == before

    @needs(Volumes.page)
    async def test_a_cloud_that_does_not_answer_is_given_up(
        self, cloud: Cloud, faults: FaultSwitch
    ) -> None:
        faults.delay("volumes.page", ENDLESS_S)
        with pytest.raises(Timeout):
            await cloud.within(SHORT_S).call(Volumes.page, None, 10)

    @needs(Volumes.page, Instances.page)
    async def test_a_slow_call_does_not_hold_up_others(
        self, cloud: Cloud, faults: FaultSwitch
    ) -> None:
        faults.delay("volumes.page", ENDLESS_S)
        slow = asyncio.ensure_future(cloud.call(Volumes.page, None, 10))
        await asyncio.sleep(0)
        await cloud.call(Instances.page, None, 10)
        assert not slow.done()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow

    @needs(Instances.create, Instances.page)
    async def test_a_full_cloud_says_so_and_makes_nothing(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_instance: NewInstance
    ) -> None:
        await made.watch(Instances)
        before = await made.listed(Instances)
        faults.out_of_capacity()
        with pytest.raises(OutOfCapacity):
            await cloud.call(Instances.create, new_instance)
        assert await made.listed(Instances) == before

    @needs(Instances.create, Instances.page)
    async def test_a_quota_says_so_and_makes_nothing(
        self, cloud: Cloud, made: Made, faults: FaultSwitch, new_instance: NewInstance
    ) -> None:
        await made.watch(Instances)
        before = await made.listed(Instances)
        faults.quota(len(before))
        with pytest.raises(QuotaExceeded):
            await cloud.call(Instances.create, new_instance)
        assert await made.listed(Instances) == before
