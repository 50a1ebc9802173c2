"""The driver under the suite's faults: set on the way to moto, and seen in what AWS holds."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.targets.aws import Way, way_to
from tests.targets.proxy import lost, refused, unheard

from nimbi import drivertest as conformance
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud

# What the operations of the suite's tests ask AWS for.
ACTIONS: Mapping[str, str] = {
    "*": "*",
    "volumes.create": "CreateVolume",
    "volumes.page": "DescribeVolumes",
    "volumes.destroy": "DeleteVolume",
    "instances.create": "RunInstances",
    "instances.stop": "StopInstances",
    "blobs.write": "PUT /*/*",
}


class Switch:
    """The faults of the proxy in the words of the suite."""

    def __init__(self, way: Way) -> None:
        self.aws = way.aws
        self.proxy = way.proxy

    def throttle(self, operation: str, calls: int | None, retry_after_s: float) -> None:
        spoil = refused(503, "RequestLimitExceeded", f"{retry_after_s:.0f}")
        self.proxy.spoil(ACTIONS[operation], spoil, calls)

    def lose_reply(self, operation: str, calls: int | None) -> None:
        self.proxy.spoil(ACTIONS[operation], lost, calls)

    def outage(self, operation: str, calls: int | None) -> None:
        self.proxy.spoil(ACTIONS[operation], refused(503, "Unavailable"), calls)

    def delay(self, operation: str, seconds: float) -> None:
        self.proxy.spoil(ACTIONS[operation], unheard, None)

    def shorten_pages(self, size: int) -> None:
        self.aws.page_size = size

    def age_lists(self, changes: int) -> None:
        self.aws.late_lists = changes

    def out_of_capacity(self) -> None:
        self.proxy.spoil("RunInstances", refused(500, "InsufficientInstanceCapacity"), None)

    def quota(self, instances: int) -> None:
        self.proxy.spoil("RunInstances", refused(400, "VcpuLimitExceeded"), None)

    def mend(self) -> None:
        self.proxy.mend()
        self.aws.page_size = None
        self.aws.late_lists = 0


class TestFaults(conformance.ConformsUnderFaults):
    @pytest.fixture
    async def way(self, moto: str) -> AsyncIterator[Way]:
        async with way_to(moto) as way:
            yield way

    @pytest.fixture
    async def cloud(self, tmp_path: Path, way: Way) -> AsyncIterator[Cloud]:
        settings = {"endpoint_url": way.url, "calls": {"backoff_s": 0.001}}
        async with conformance.opened(
            DRIVER, tmp_path, credentials=LOGIN, provider=REGION, settings=settings
        ) as cloud:
            yield cloud

    @pytest.fixture
    def faults(self, made: Made, way: Way) -> Iterator[Switch]:
        switch = Switch(way)
        yield switch
        switch.mend()
