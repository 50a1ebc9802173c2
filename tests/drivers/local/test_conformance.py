"""The local driver against the conformance suite."""

import pytest

from nimbi.drivertest import (
    ConformsToHardwareProfiles,
    ConformsToImages,
    ConformsToInstances,
    ConformsToKeys,
    ConformsToRealms,
)
from nimbi.drivertest.moves import brought
from nimbi.gateway.cloud import Cloud
from nimbi.model.instances import Instance, InstanceState


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
    @pytest.fixture
    async def instance(self, cloud: Cloud, shared_guest) -> Instance:
        """One guest for all tests, brought back to where a new one would be: a boot is dear."""
        return await brought(cloud, shared_guest.id, InstanceState.RUNNING, self.patience_s)
