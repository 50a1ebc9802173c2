"""The driver against the conformance suite, on a real OpenStack."""

import pytest
from openstack.connection import Connection
from tests.drivers.openstack.gaps import gap
from tests.drivers.openstack.launching import Launching
from tests.drivers.openstack.listed import TellsLess
from tests.targets.openstack.projects import quiet
from tests.targets.openstack.settings import PUBLIC_NETWORK, VOLUME_KIND

from nimbi import drivertest as conformance
from nimbi.drivers.openstack.login import Login
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.logins import SECRET
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import NewBucket


@pytest.fixture(autouse=True)
def _as_far_as_it_can(request: pytest.FixtureRequest) -> None:
    """Skip what this very cloud cannot do."""
    if reason := gap(request.node.nodeid):
        pytest.skip(reason)


class TestDriver(Launching, conformance.ConformsToDriver):
    @pytest.fixture
    async def wrong_login(self) -> Login:
        return Login("nobody+nowhere", SECRET)


class TestRealms(conformance.ConformsToRealms):
    pass


class TestHardwareProfiles(conformance.ConformsToHardwareProfiles):
    pass


class TestImages(Launching, conformance.ConformsToImages):
    pass


class TestInstances(Launching, conformance.ConformsToInstances):
    pass


class TestKeys(conformance.ConformsToKeys):
    pass


class TestFirewalls(Launching, conformance.ConformsToFirewalls):
    pass


class TestAddresses(Launching, conformance.ConformsToAddresses):
    pass


class TestNetworks(Launching, conformance.ConformsToNetworks):
    pass


class TestSubnets(Launching, conformance.ConformsToSubnets):
    pass


class TestNetworkInterfaces(Launching, conformance.ConformsToNetworkInterfaces):
    pass


class TestLoadBalancers(Launching, conformance.ConformsToLoadBalancers):
    pass


class TestRouters(conformance.ConformsToRouters):
    @pytest.fixture
    async def external_network_id(self, oracle: Connection) -> str:
        with quiet():
            return str(oracle.network.find_network(PUBLIC_NETWORK, ignore_missing=False).id)


class TestQuotas(conformance.ConformsToQuotas):
    pass


class TestVolumes(Launching, conformance.ConformsToVolumes):
    volume_kind = VOLUME_KIND


class TestSnapshots(Launching, conformance.ConformsToSnapshots):
    pass


class TestBuckets(TellsLess, conformance.ConformsToBuckets):
    async def location(self, cloud: Cloud) -> str:
        """Return the storage policy of this Swift, which only a look at a bucket tells."""
        made = await cloud.buckets.create(NewBucket(name=fresh_name()))
        await cloud.buckets.destroy(made.id)
        return str(made.location)


class TestBlobs(TellsLess, conformance.ConformsToBlobs):
    pass


class TestMetrics(Launching, conformance.ConformsToMetrics):
    pass
