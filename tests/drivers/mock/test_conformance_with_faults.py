"""The mock driver under faults: those that the gateway hides are seen by no test of the suite."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from nimbi import drivertest as conformance
from nimbi.driver.capabilities import OPERATIONS
from nimbi.drivers.mock import DRIVER, driver_over
from nimbi.drivers.mock import faults as mock
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.session import LOGIN
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud

STREAMED = {"blobs.write", "blobs.write_segment"}
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


class Switch:
    """The faults of the mock cloud in the words of the suite."""

    def __init__(self, cloud: MockCloud) -> None:
        self.cloud = cloud

    def throttle(self, operation: str, calls: int | None, retry_after_s: float) -> None:
        fault = mock.Throttle(operations=(operation,), calls=calls, retry_after_s=retry_after_s)
        self.cloud.faults = mock.Faults(throttle=fault)

    def lose_reply(self, operation: str, calls: int | None) -> None:
        fault = mock.LostReply(operations=(operation,), calls=calls)
        self.cloud.faults = mock.Faults(lost_reply=fault)

    def outage(self, operation: str, calls: int | None) -> None:
        self.cloud.faults = mock.Faults(outage=mock.Outage(operations=(operation,), calls=calls))

    def delay(self, operation: str, seconds: float) -> None:
        fault = mock.Latency(operations=(operation,), seconds=seconds)
        self.cloud.faults = mock.Faults(latency=fault)

    def shorten_pages(self, size: int) -> None:
        self.cloud.faults = mock.Faults(short_page=mock.ShortPage(size=size))

    def age_lists(self, changes: int) -> None:
        self.cloud.faults = mock.Faults(stale_list=mock.StaleList(changes=changes))

    def out_of_capacity(self) -> None:
        self.cloud.faults = mock.Faults(out_of_capacity=mock.NoCapacity())

    def quota(self, instances: int) -> None:
        self.cloud.faults = mock.Faults(quota=mock.Quota(instances=instances))

    def mend(self) -> None:
        self.cloud.faults = mock.Faults()


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    settings = {"faults": msgspec.to_builtins(PASSING), "calls": CALLS}
    async with conformance.opened(DRIVER, tmp_path, credentials=LOGIN, settings=settings) as cloud:
        yield cloud


class TestFaults(conformance.ConformsUnderFaults):
    @pytest.fixture
    async def mock_cloud(self) -> AsyncIterator[MockCloud]:
        cloud = MockCloud()
        yield cloud
        cloud.close()

    @pytest.fixture
    async def cloud(self, tmp_path: Path, mock_cloud: MockCloud) -> AsyncIterator[Cloud]:
        settings = {"calls": {"backoff_s": 0.001}}
        async with conformance.opened(
            driver_over(mock_cloud), tmp_path, credentials=LOGIN, settings=settings
        ) as cloud:
            yield cloud

    @pytest.fixture
    def faults(self, made: Made, mock_cloud: MockCloud) -> Iterator[Switch]:
        switch = Switch(mock_cloud)
        yield switch
        switch.mend()


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
