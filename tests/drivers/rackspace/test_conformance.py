"""The dialect against the conformance suite: a stand-in, and a real Swift as Cloud Files."""

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.drivers.rackspace.conftest import LOGIN
from tests.targets import swift
from tests.targets.rackspace import Rackspace

from nimbi import drivertest as conformance
from nimbi.drivers.rackspace import DRIVER
from nimbi.drivers.rackspace.login import ApiKey
from nimbi.drivertest import opened
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.logins import SECRET
from nimbi.drivertest.streams import content_of, read, write
from nimbi.model.buckets import NewBucket


class TestDriver(conformance.ConformsToDriver):
    @pytest.fixture
    async def wrong_login(self) -> ApiKey:
        return ApiKey("nobody", SECRET)


class TestRealms(conformance.ConformsToRealms):
    pass


class TestHardwareProfiles(conformance.ConformsToHardwareProfiles):
    pass


@pytest.fixture(scope="session")
def swift_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with swift.store(tmp_path_factory.mktemp("cloud-files")) as url:
        yield url


async def test_cloud_files_is_a_swift(
    rackspace: Rackspace, swift_store: str, tmp_path: Path
) -> None:
    rackspace.files, rackspace.files_token = await asyncio.to_thread(_opened, swift_store)
    async with opened(DRIVER, tmp_path, credentials=LOGIN, provider=rackspace.url) as cloud:
        name, content = fresh_name(), content_of(300_000)
        await cloud.buckets.create(NewBucket(name=name))
        await write(cloud, name, "a//blob ü", content, metadata={"colour": "blue"})
        assert await read(cloud, name, "a//blob ü") == content
        assert (await cloud.blobs.get(name, "a//blob ü")).metadata == {"colour": "blue"}
        assert await cloud.blobs.destroy_many(name, ("a//blob ü",)) == ()
        await cloud.buckets.destroy(name)


def _opened(url: str) -> tuple[str, str]:
    """Return the URL of Swift's account and a token for it, by Swift's own login of old."""
    headers = {"X-Auth-User": swift.USER, "X-Auth-Key": swift.PASSWORD}
    request = urllib.request.Request(f"{url}/auth/v1.0", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as answer:
        return answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
