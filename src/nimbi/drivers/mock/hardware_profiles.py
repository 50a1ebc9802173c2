"""Hardware profiles of the mock cloud, for which no login is needed."""

from typing import ClassVar

from nimbi.driver.compute import HardwareProfiles
from nimbi.drivers.mock.seed import PROFILES
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.model.hardware_profiles import HardwareProfile
from nimbi.model.page import Page


@offered
class MockHardwareProfiles(OfSession, HardwareProfiles):
    """The four profiles of the original, one of them opaque."""

    needs_login: ClassVar[bool] = False

    async def page(self, marker: str | None, limit: int) -> Page[HardwareProfile]:
        return self.paged(PROFILES, marker, limit)

    async def get(self, id: str) -> HardwareProfile:
        return PROFILES.get(id, "hardware profile")
