"""The mock driver against the conformance suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nimbi import drivertest as conformance
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.session import LOGIN
from nimbi.gateway.cloud import Cloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with conformance.opened(DRIVER, tmp_path, credentials=LOGIN) as cloud:
        yield cloud


class TestDriver(conformance.ConformsToDriver):
    pass


class TestRealms(conformance.ConformsToRealms):
    pass


class TestHardwareProfiles(conformance.ConformsToHardwareProfiles):
    pass


class TestImages(conformance.ConformsToImages):
    pass


class TestInstances(conformance.ConformsToInstances):
    pass


class TestKeys(conformance.ConformsToKeys):
    pass


class TestFirewalls(conformance.ConformsToFirewalls):
    pass


class TestAddresses(conformance.ConformsToAddresses):
    pass


class TestNetworks(conformance.ConformsToNetworks):
    pass


class TestSubnets(conformance.ConformsToSubnets):
    pass


class TestNetworkInterfaces(conformance.ConformsToNetworkInterfaces):
    pass


class TestLoadBalancers(conformance.ConformsToLoadBalancers):
    pass


class TestVolumes(conformance.ConformsToVolumes):
    pass


class TestSnapshots(conformance.ConformsToSnapshots):
    pass


class TestBuckets(conformance.ConformsToBuckets):
    pass


class TestBlobs(conformance.ConformsToBlobs):
    pass


class TestMetrics(conformance.ConformsToMetrics):
    pass
