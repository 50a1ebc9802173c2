"""Rackspace's dialect, on a stand-in that knows what is documented."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.targets.exchange import served
from tests.targets.rackspace import API_KEY, USER, Rackspace

from nimbi.drivers.rackspace import DRIVER
from nimbi.drivers.rackspace.login import ApiKey
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud

LOGIN = ApiKey(USER, API_KEY)


@pytest.fixture
async def rackspace() -> AsyncIterator[Rackspace]:
    """Give an account, whose `url` is that of its Identity."""
    account = Rackspace()
    async with served(account) as url:
        account.url = url
        yield account


@pytest.fixture
async def cloud(rackspace: Rackspace, tmp_path: Path) -> AsyncIterator[Cloud]:
    async with opened(DRIVER, tmp_path, credentials=LOGIN, provider=rackspace.url) as cloud:
        yield cloud
