"""The mock driver under faults that the suite sets."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nimbi import drivertest as conformance
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock import faults as mock
from nimbi.drivers.mock.cloud import MockCloud
from nimbi.drivers.mock.session import LOGIN
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud


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
