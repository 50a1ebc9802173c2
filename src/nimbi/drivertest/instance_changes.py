"""What holds for instances that are rebuilt, rescued, shelved or locked."""

from collections.abc import Awaitable, Callable

import pytest

from nimbi.driver.compute import Images, Instances
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.moves import brought, comes_true, rested
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.images import ImageState
from nimbi.model.instances import Instance, InstanceState, NewInstance

RUNNING, STOPPED = InstanceState.RUNNING, InstanceState.STOPPED


class ConformsToInstanceChanges(Conformance):
    @pytest.fixture
    async def another_image_id(self, cloud: Cloud, new_instance: NewInstance) -> str | None:
        """Another image for the test's instance; its own where there is no other."""
        async for image in cloud.each(Images.page):
            fits = new_instance.hardware_profile_id in (image.hardware_profile_ids or {None})
            if image.state is ImageState.AVAILABLE and fits and image.id != new_instance.image_id:
                return image.id
        return new_instance.image_id

    @needs("rebuild", "create", "get")
    async def test_a_rebuilt_instance_is_of_the_image_and_keeps_its_addresses(
        self, cloud: Cloud, instance: Instance, another_image_id: str
    ) -> None:
        before = await brought(cloud, instance.id, RUNNING, self.patience_s)
        rebuilt = await cloud.call(Instances.rebuild, instance.id, another_image_id)
        assert rebuilt.id == instance.id
        found = await rested(cloud, instance.id, self.patience_s)
        assert (found.state, found.image_id) == (RUNNING, another_image_id)
        assert found.private_addresses == before.private_addresses

    @needs("rebuild", "create", "get")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_rebuilding_of_an_unknown_image_is_refused(
        self, cloud: Cloud, instance: Instance, id: str
    ) -> None:
        before = await brought(cloud, instance.id, RUNNING, self.patience_s)
        with pytest.raises((NotFound, Invalid)):
            await cloud.call(Instances.rebuild, instance.id, id)
        assert (await cloud.call(Instances.get, instance.id)).image_id == before.image_id

    @needs("rescue", "unrescue", "create", "get")
    async def test_a_rescued_instance_runs_until_it_is_unrescued(
        self, cloud: Cloud, instance: Instance
    ) -> None:
        await brought(cloud, instance.id, RUNNING, self.patience_s)
        with pytest.raises(Conflict):
            await cloud.call(Instances.unrescue, instance.id)
        await cloud.call(Instances.rescue, instance.id)
        rescued = await self.seen(cloud, instance, lambda i: i.rescued and i.state is RUNNING)
        told = cloud.instance_operations(rescued)
        assert "unrescue" in told
        assert not {"stop", "rescue"} & set(told)
        with pytest.raises(Conflict):
            await cloud.call(Instances.rescue, instance.id)
        await cloud.call(Instances.unrescue, instance.id)
        await self.seen(cloud, instance, lambda i: not i.rescued and i.state is RUNNING)

    @needs("shelve", "unshelve", "create", "get", "start")
    async def test_a_shelved_instance_is_stopped_until_it_is_unshelved(
        self, cloud: Cloud, instance: Instance
    ) -> None:
        await brought(cloud, instance.id, RUNNING, self.patience_s)
        with pytest.raises(Conflict):
            await cloud.call(Instances.unshelve, instance.id)
        await cloud.call(Instances.shelve, instance.id)
        shelved = await self.seen(cloud, instance, lambda i: i.shelved and i.state is STOPPED)
        told = cloud.instance_operations(shelved)
        assert "unshelve" in told
        assert not {"start", "shelve"} & set(told)
        with pytest.raises(Conflict):
            await cloud.call(Instances.start, instance.id)
        await cloud.call(Instances.unshelve, instance.id)
        await self.seen(cloud, instance, lambda i: not i.shelved and i.state is RUNNING)

    @needs("lock", "unlock", "create", "get", "stop", "destroy")
    async def test_a_locked_instance_is_changed_by_nothing_until_it_is_unlocked(
        self, cloud: Cloud, instance: Instance
    ) -> None:
        await brought(cloud, instance.id, RUNNING, self.patience_s)
        refused: tuple[Callable[..., Awaitable[None]], ...] = (Instances.stop, Instances.destroy)
        for _ in range(2):
            await cloud.call(Instances.lock, instance.id)
        locked = await self.seen(cloud, instance, lambda i: i.locked)
        assert cloud.instance_operations(locked) == ("unlock",)
        for operation in refused:
            with pytest.raises(Conflict):
                await cloud.call(operation, instance.id)
        for _ in range(2):
            await cloud.call(Instances.unlock, instance.id)
        unlocked = await self.seen(cloud, instance, lambda i: not i.locked)
        assert unlocked.state is RUNNING
        assert "unlock" not in cloud.instance_operations(unlocked)
        await cloud.call(Instances.stop, instance.id)
        await self.seen(cloud, instance, lambda i: i.state is STOPPED)

    async def seen(
        self, cloud: Cloud, instance: Instance, is_so: Callable[[Instance], bool]
    ) -> Instance:
        """Return the instance as soon as it is so."""
        found: list[Instance] = []

        async def look() -> bool:
            found[:] = [await cloud.call(Instances.get, instance.id)]
            return is_so(found[0])

        await comes_true(look, "the instance does not become as it should", self.patience_s)
        return found[0]
