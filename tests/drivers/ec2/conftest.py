"""A login to AWS, for which moto stands in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nimbi.driver.interface import Account, Place
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivers.ec2.login import AccessKey
from nimbi.drivers.ec2.session import Session, Settings, open_session, start
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud

LOGIN = AccessKey("AKIATESTTESTTESTTEST", "secret/of+the=test")
REGION = "eu-west-1"


@pytest.fixture
async def cloud(moto: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give a login to one region of an empty AWS."""
    settings = {"endpoint_url": moto}
    async with opened(
        DRIVER, tmp_path, settings=settings, credentials=LOGIN, provider=REGION
    ) as cloud:
        yield cloud


@pytest.fixture
async def session(moto: str, tmp_path: Path) -> AsyncIterator[Session]:
    """Give the driver's own session, below the gateway."""
    async with (
        start(Settings(endpoint_url=moto), Place(tmp_path)) as backend,
        open_session(backend, Account(LOGIN, REGION)) as session,
    ):
        yield session
