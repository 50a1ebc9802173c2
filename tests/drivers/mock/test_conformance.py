"""The mock driver against the conformance suite, in good health and under passing faults."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nimbi import drivertest as conformance
from nimbi.driver.capabilities import OPERATIONS
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock import faults as mock
from nimbi.drivers.mock.session import LOGIN
from nimbi.gateway.cloud import Cloud

STREAMED = {"blobs.write", "blobs.write_segment", "images.upload"}
REPEATED = tuple(o.id for o in OPERATIONS.values() if o.is_repeatable and not o.is_safe)
READING = tuple(o.id for o in OPERATIONS.values() if o.is_safe)

# Faults that pass, at calls that the gateway makes again: all but streams, which cannot be sent
# twice. Latency lets the calls of others come between any two steps.
PASSING = mock.Faults(
    seed=1,
    latency=mock.Latency(seconds=0.0),
    throttle=mock.Throttle(
        every=3,
        retry_after_s=0.0,
        operations=tuple(o.id for o in OPERATIONS.values() if o.id not in STREAMED),
    ),
    outage=mock.Outage(probability=0.1, operations=(*REPEATED, *READING)),
    lost_reply=mock.LostReply(probability=0.3, operations=REPEATED),
    short_page=mock.ShortPage(size=2),
)
CALLS = {"attempts": 50, "backoff_s": 0.0001, "backoff_max_s": 0.001}

# What the gateway hides is seen by no test of the suite.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "healthy": {},
    "faulty": {"faults": msgspec.to_builtins(PASSING), "calls": CALLS},
}


@pytest.fixture(params=list(SETTINGS))
async def cloud(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    settings = SETTINGS[request.param]
    async with conformance.opened(DRIVER, tmp_path, credentials=LOGIN, settings=settings) as cloud:
        yield cloud


class TestDriver(conformance.ConformsToDriver):
    @pytest.fixture
    async def cloud(self, tmp_path: Path) -> AsyncIterator[Cloud]:
        async with conformance.opened(DRIVER, tmp_path, credentials=LOGIN) as cloud:
            yield cloud


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


class TestRouters(conformance.ConformsToRouters):
    pass


class TestNetworkInterfaces(conformance.ConformsToNetworkInterfaces):
    pass


class TestLoadBalancers(conformance.ConformsToLoadBalancers):
    pass


class TestVolumes(conformance.ConformsToVolumes):
    volume_kind = "flash"


class TestSnapshots(conformance.ConformsToSnapshots):
    pass


class TestBuckets(conformance.ConformsToBuckets):
    pass


class TestBlobs(conformance.ConformsToBlobs):
    pass


class TestMetrics(conformance.ConformsToMetrics):
    pass


class TestQuotas(conformance.ConformsToQuotas):
    pass
