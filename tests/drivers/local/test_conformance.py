"""The local driver against the conformance suite."""

import pytest

from nimbi.drivertest import (
    ConformsToDriver,
    ConformsToHardwareProfiles,
    ConformsToImages,
    ConformsToInstances,
    ConformsToKeys,
    ConformsToMetrics,
    ConformsToRealms,
    ConformsToSnapshots,
    ConformsToVolumes,
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


@pytest.mark.guest
class TestImages(ConformsToImages):
    @pytest.fixture
    async def instance(self, cloud: Cloud, shared_guest) -> Instance:
        return await rested(cloud, shared_guest.id, self.patience_s)


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


@pytest.mark.guest
class TestMetrics(ConformsToMetrics):
    @pytest.fixture(autouse=True)
    def _something_runs(self, shared_guest) -> None:
        """Without a guest there would be nothing to look at."""


class TestSnapshots(ConformsToSnapshots):
    pass


@pytest.mark.guest
class TestVolumes(ConformsToVolumes):
    @pytest.fixture
    async def instance(self, cloud: Cloud, shared_guest) -> Instance:
        return await rested(cloud, shared_guest.id, self.patience_s)
