"""Buckets and blobs of the local cloud; no guest is needed for them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nimbi.driver.interface import Place
from nimbi.drivers.local import DRIVER
from nimbi.drivers.local.login import own_login
from nimbi.drivertest import ConformsToBlobs, ConformsToBuckets, opened
from nimbi.gateway.cloud import Cloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    login = own_login(None, Place(tmp_path / "local"))
    async with opened(DRIVER, tmp_path, credentials=login) as cloud:
        yield cloud


class TestBuckets(ConformsToBuckets):
    pass


class TestBlobs(ConformsToBlobs):
    pass
