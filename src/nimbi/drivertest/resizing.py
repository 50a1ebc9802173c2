"""What holds for other sizes of an instance than those that it was made with."""

import msgspec
import pytest
from msgspec.structs import replace

from nimbi.driver.compute import HardwareProfiles, Instances
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.moves import brought
from nimbi.drivertest.needs import needs
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.hardware_profiles import Enum as OneOf
from nimbi.model.hardware_profiles import HardwareProfile, Range, Sizes
from nimbi.model.instances import Instance, InstanceState, NewInstance

# Sizes that no profile has.
ABSURD: dict[str, int | str] = {
    "cpus": 10**9,
    "memory_mib": 10**15,
    "storage_gib": 10**15,
    "architecture": "pdp-7",
}

CHANGED = ("memory_mib", "cpus")


class ConformsToResizing(Conformance):
    """Resizing changes CPUs and memory of what is stopped, and nothing else."""

    @needs("resize", "create", "get", "stop", HardwareProfiles.page)
    @pytest.mark.parametrize("size", CHANGED)
    async def test_a_stopped_instance_takes_another_size_that_its_profile_offers(
        self, cloud: Cloud, made: Made, new_instance: NewInstance, size: str
    ) -> None:
        for profile in await profiles_for(cloud, new_instance):
            value = another(profile, size)
            if value is None:
                continue
            asked = replace(new_instance, hardware_profile_id=profile.id, sizes=Sizes())
            new = await made.create(Instances, asked)
            await brought(cloud, new.id, InstanceState.STOPPED, self.patience_s)
            sizes = msgspec.convert({size: value}, Sizes)
            resized = await cloud.call(Instances.resize, new.id, sizes)
            again = await cloud.call(Instances.resize, new.id, Sizes())
            found = await cloud.call(Instances.get, new.id)
            assert [i.sizes for i in (resized, again, found)] == [
                replace(new.sizes, **{size: value})
            ] * 3
            assert found.state is InstanceState.STOPPED
            return
        pytest.skip(f"{cloud.driver.name} has no profile with a choice of {size}")

    @needs("resize", "create", "get", "stop", "start", HardwareProfiles.page)
    async def test_a_resized_instance_starts(
        self, cloud: Cloud, made: Made, new_instance: NewInstance
    ) -> None:
        for profile in await profiles_for(cloud, new_instance):
            value = another(profile, "memory_mib")
            if value is None:
                continue
            asked = replace(new_instance, hardware_profile_id=profile.id, sizes=Sizes())
            new = await made.create(Instances, asked)
            await brought(cloud, new.id, InstanceState.STOPPED, self.patience_s)
            resized = await cloud.call(Instances.resize, new.id, Sizes(memory_mib=value))
            running = await brought(cloud, new.id, InstanceState.RUNNING, self.patience_s)
            assert running.sizes == resized.sizes
            return
        pytest.skip(f"{cloud.driver.name} has no profile with a choice of memory")

    @needs("resize", "create", "get", "stop")
    @pytest.mark.parametrize("size", list(ABSURD))
    async def test_a_size_that_nobody_offers_is_invalid_and_changes_nothing(
        self, cloud: Cloud, instance: Instance, size: str
    ) -> None:
        before = await brought(cloud, instance.id, InstanceState.STOPPED, self.patience_s)
        with pytest.raises(Invalid):
            await cloud.call(
                Instances.resize, instance.id, msgspec.convert({size: ABSURD[size]}, Sizes)
            )
        assert (await cloud.call(Instances.get, instance.id)).sizes == before.sizes

    @needs("resize", "create", "get")
    async def test_resizing_what_runs_is_a_conflict(self, cloud: Cloud, instance: Instance) -> None:
        running = await brought(cloud, instance.id, InstanceState.RUNNING, self.patience_s)
        with pytest.raises(Conflict):
            await cloud.call(Instances.resize, instance.id, Sizes())
        assert (await cloud.call(Instances.get, instance.id)).sizes == running.sizes


async def profiles_for(cloud: Cloud, wish: NewInstance) -> list[HardwareProfile]:
    """Return the profiles on which the image of a wish may run, the asked one first."""
    found = [p async for p in cloud.each(HardwareProfiles.page)]
    return sorted(found, key=lambda profile: profile.id != wish.hardware_profile_id)


def another(profile: HardwareProfile, size: str) -> int | float | None:
    """Return a value that a profile offers and that is not its default."""
    rule = profile.properties().get(size)
    if isinstance(rule, Range):
        return rule.first if rule.first != rule.default else rule.last
    if isinstance(rule, OneOf):
        others = [v for v in rule.values if v != rule.default and not isinstance(v, str)]
        return others[0] if others else None
    return None
