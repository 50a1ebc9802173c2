"""What holds for hardware profiles on every cloud."""

from typing import ClassVar

from nimbi.driver.compute import HardwareProfiles
from nimbi.driver.operation import Collection
from nimbi.drivertest.needs import needs
from nimbi.drivertest.reading import ConformsToReading
from nimbi.gateway.cloud import Cloud
from nimbi.model.hardware_profiles import Enum, HardwareProfile, Property, Range, Value
from nimbi.model.resource import Resource

# Properties that are numbers above zero.
MEASURES = ("cpus", "memory_mib")


class ConformsToHardwareProfiles(ConformsToReading):
    interface: ClassVar[type[Collection]] = HardwareProfiles
    kind: ClassVar[type[Resource]] = HardwareProfile

    @needs("page")
    async def test_there_is_a_profile(self, cloud: Cloud) -> None:
        assert await self.listed(cloud, ())

    @needs("page")
    async def test_every_profile_has_a_name(self, cloud: Cloud) -> None:
        assert all(profile.name for profile in await self.things(cloud, ()))

    @needs("page")
    async def test_every_default_is_allowed(self, cloud: Cloud) -> None:
        for profile in await self.things(cloud, ()):
            for name, rule in profile.properties().items():
                assert rule.allows(rule.default), f"{name} of {profile.id}"

    @needs("page")
    async def test_every_range_has_room(self, cloud: Cloud) -> None:
        for profile in await self.things(cloud, ()):
            for name, rule in profile.properties().items():
                if isinstance(rule, Range):
                    assert rule.first < rule.last, f"{name} of {profile.id}"

    @needs("page")
    async def test_every_enum_has_values_that_differ(self, cloud: Cloud) -> None:
        for profile in await self.things(cloud, ()):
            for name, rule in profile.properties().items():
                if isinstance(rule, Enum):
                    assert rule.values, f"{name} of {profile.id}"
                    assert len(set(rule.values)) == len(rule.values), f"{name} of {profile.id}"

    @needs("page")
    async def test_processors_and_memory_are_numbers_above_zero(self, cloud: Cloud) -> None:
        for profile in await self.things(cloud, ()):
            for name in MEASURES:
                for value in _values(profile.properties().get(name)):
                    assert not isinstance(value, str), f"{name} of {profile.id}"
                    assert value > 0, f"{name} of {profile.id}"

    @needs("page")
    async def test_architectures_are_words(self, cloud: Cloud) -> None:
        for profile in await self.things(cloud, ()):
            for value in _values(profile.architecture):
                assert isinstance(value, str), profile.id
                assert value, profile.id


def _values(rule: Property | None) -> tuple[Value, ...]:
    if rule is None:
        return ()
    if isinstance(rule, Range):
        return (rule.first, rule.last, rule.default)
    return (*rule.values, rule.default) if isinstance(rule, Enum) else (rule.default,)
