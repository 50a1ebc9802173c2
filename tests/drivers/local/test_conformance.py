"""The local driver against the conformance suite."""

import pytest

from nimbi.drivertest import (
    ConformsToDriver,
    ConformsToHardwareProfiles,
    ConformsToImages,
    ConformsToInstances,
    ConformsToKeys,
    ConformsToRealms,
)
from nimbi.drivertest.moves import rested
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import Instance


class TestDriver(ConformsToDriver):
    pass


class TestRealms(ConformsToRealms):
    pass


class TestHardwareProfiles(ConformsToHardwareProfiles):
    pass


class TestImages(ConformsToImages):
    pass


class TestKeys(ConformsToKeys):
    pass


@pytest.mark.guest
class TestInstances(ConformsToInstances):
    # Guests that boot at the same time slow each other down.
    crowd = 2

    @pytest.fixture
    async def instance(self, cloud: Cloud, shared_guest) -> Instance:
        """One guest for all tests, running or stopped as the last one left it: a boot is dear."""
        return await rested(cloud, shared_guest.id, self.patience_s)
