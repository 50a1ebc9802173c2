"""Stores that speak S3, each started once in a run of a worker, and logins to them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.drivers.s3.gaps import gap

from nimbi.driver.interface import Account, Place
from nimbi.drivers.ec2.backend import start
from nimbi.drivers.ec2.login import AccessKey
from nimbi.drivers.ec2.objects.blobs import S3Blobs
from nimbi.drivers.ec2.objects.buckets import S3Buckets
from nimbi.drivers.ec2.objects.client import ObjectClient
from nimbi.drivers.ec2.objects.rules import DEFAULT_RULES, Rules
from nimbi.drivers.ec2.objects.sites import Site
from nimbi.drivers.s3 import DRIVER
from nimbi.drivers.s3.session import open_session
from nimbi.drivers.s3.settings import Settings
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud

LOGIN = AccessKey("AKIATESTTESTTESTTEST", "secret/of+the=test")


@pytest.fixture
async def cloud(moto: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    settings = {"endpoint_url": moto, "write_conditions": True}
    async with opened(DRIVER, tmp_path, settings=settings, credentials=LOGIN) as cloud:
        yield cloud


@dataclass(frozen=True)
class Store:
    """A login to a store, with sizes of the test's choice."""

    objects: ObjectClient

    @property
    def blobs(self) -> S3Blobs:
        return S3Blobs(self)

    @property
    def buckets(self) -> S3Buckets:
        return S3Buckets(self)


OpenStore = Callable[..., AbstractAsyncContextManager[Store]]


@pytest.fixture
def open_store(tmp_path: Path) -> OpenStore:
    """Return what opens a store at a URL: `open_store(url, Rules(…), is_aws=True)`."""

    @asynccontextmanager
    async def opening(
        url: str, rules: Rules = DEFAULT_RULES, *, is_aws: bool = False
    ) -> AsyncIterator[Store]:
        async with (
            start(Settings(), Place(tmp_path)) as backend,
            open_session(backend, Account(LOGIN, f"endpoint={url}")) as session,
        ):
            site = Site(url, "us-east-1", is_aws=is_aws, path_style=True)
            yield Store(ObjectClient(session, site, rules, backend.room))

    return opening


@pytest.fixture(autouse=True)
def _gaps(request: pytest.FixtureRequest) -> None:
    """Skip what the stand-in of a test cannot do."""
    if reason := gap(request.node.nodeid):
        pytest.skip(reason)
