"""A whole cloud in memory, with faults on demand: the driver to copy, and the test double."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from nimbi.driver.interface import Driver, Place
from nimbi.drivers.mock.addresses import MockAddresses
from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.buckets import MockBuckets
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.firewalls import MockFirewalls
from nimbi.drivers.mock.hardware_profiles import MockHardwareProfiles
from nimbi.drivers.mock.images import MockImages
from nimbi.drivers.mock.instances import STATES, MockInstances
from nimbi.drivers.mock.keys import MockKeys
from nimbi.drivers.mock.load_balancers import MockLoadBalancers
from nimbi.drivers.mock.metrics import MockMetrics
from nimbi.drivers.mock.network_interfaces import MockNetworkInterfaces
from nimbi.drivers.mock.networks import MockNetworks
from nimbi.drivers.mock.quotas import MockQuotas
from nimbi.drivers.mock.realms import MockRealms
from nimbi.drivers.mock.routers import MockRouters
from nimbi.drivers.mock.session import Session, open_session, start, to_error
from nimbi.drivers.mock.snapshots import MockSnapshots
from nimbi.drivers.mock.subnets import MockSubnets
from nimbi.drivers.mock.volumes import MockVolumes

DRIVER: Driver[MockCloud, Session] = Driver(
    name="mock",
    title="Mock",
    settings=Settings,
    start=start,
    open=open_session,
    collections=(
        MockRealms,
        MockHardwareProfiles,
        MockImages,
        MockInstances,
        MockKeys,
        MockFirewalls,
        MockAddresses,
        MockNetworks,
        MockSubnets,
        MockRouters,
        MockNetworkInterfaces,
        MockLoadBalancers,
        MockVolumes,
        MockSnapshots,
        MockBuckets,
        MockBlobs,
        MockMetrics,
        MockQuotas,
    ),
    to_error=to_error,
    instance_states=STATES,
    in_process=lambda settings: settings.storage is None,
)


def driver_over(cloud: MockCloud) -> Driver[MockCloud, Session]:
    """Return the driver over a cloud whose faults the caller sets, and which the caller closes."""

    @asynccontextmanager
    async def held(_settings: Any, _place: Place) -> AsyncIterator[MockCloud]:
        yield cloud

    return replace(DRIVER, start=held)
