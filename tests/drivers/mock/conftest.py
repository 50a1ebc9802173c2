"""A fresh mock cloud and a login to it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from nimbi.driver.interface import Account
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.session import LOGIN, Session


@pytest.fixture
def now() -> list[float]:
    """The time of the cloud in seconds; it passes when a test says so."""
    return [0.0]


@pytest.fixture
def cloud(now: list[float]) -> Iterator[MockCloud]:
    cloud = MockCloud(Settings(storage=None), clock=lambda: now[0])
    yield cloud
    cloud.close()


@pytest.fixture
async def session(cloud: MockCloud) -> AsyncIterator[Session]:
    async with DRIVER.open(cloud, Account(LOGIN)) as session:
        yield session
