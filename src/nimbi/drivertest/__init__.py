"""The conformance suite: what holds for every driver, as test classes to inherit from."""

from pathlib import Path

import pytest

# Without this, pytest shows no values when an assert of an installed package fails.
pytest.register_assert_rewrite(
    *(f"{__name__}.{path.stem}" for path in Path(__file__).parent.glob("[a-z]*.py"))
)

from nimbi.drivertest.access import opened  # noqa: E402  pytest must be told first
from nimbi.drivertest.addresses import ConformsToAddresses  # noqa: E402
from nimbi.drivertest.blobs import ConformsToBlobs  # noqa: E402
from nimbi.drivertest.buckets import ConformsToBuckets  # noqa: E402
from nimbi.drivertest.driver import ConformsToDriver  # noqa: E402
from nimbi.drivertest.faults import ConformsUnderFaults, FaultSwitch  # noqa: E402
from nimbi.drivertest.firewalls import ConformsToFirewalls  # noqa: E402
from nimbi.drivertest.hardware_profiles import ConformsToHardwareProfiles  # noqa: E402
from nimbi.drivertest.images import ConformsToImages  # noqa: E402
from nimbi.drivertest.instances import ConformsToInstances  # noqa: E402
from nimbi.drivertest.keys import ConformsToKeys  # noqa: E402
from nimbi.drivertest.load_balancers import ConformsToLoadBalancers  # noqa: E402
from nimbi.drivertest.metrics import ConformsToMetrics  # noqa: E402
from nimbi.drivertest.needs import needs, needs_feature, require  # noqa: E402
from nimbi.drivertest.network_interfaces import ConformsToNetworkInterfaces  # noqa: E402
from nimbi.drivertest.networks import ConformsToNetworks  # noqa: E402
from nimbi.drivertest.quotas import ConformsToQuotas  # noqa: E402
from nimbi.drivertest.realms import ConformsToRealms  # noqa: E402
from nimbi.drivertest.routers import ConformsToRouters  # noqa: E402
from nimbi.drivertest.snapshots import ConformsToSnapshots  # noqa: E402
from nimbi.drivertest.subnets import ConformsToSubnets  # noqa: E402
from nimbi.drivertest.volumes import ConformsToVolumes  # noqa: E402

__all__ = [
    "ConformsToAddresses",
    "ConformsToBlobs",
    "ConformsToBuckets",
    "ConformsToDriver",
    "ConformsToFirewalls",
    "ConformsToHardwareProfiles",
    "ConformsToImages",
    "ConformsToInstances",
    "ConformsToKeys",
    "ConformsToLoadBalancers",
    "ConformsToMetrics",
    "ConformsToNetworkInterfaces",
    "ConformsToNetworks",
    "ConformsToQuotas",
    "ConformsToRealms",
    "ConformsToRouters",
    "ConformsToSnapshots",
    "ConformsToSubnets",
    "ConformsToVolumes",
    "ConformsUnderFaults",
    "FaultSwitch",
    "needs",
    "needs_feature",
    "opened",
    "require",
]
