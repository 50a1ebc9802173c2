"""The driver s3 against stores that are not AWS's and not made for tests of its clients."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.drivers.s3.listed import TellsLess
from tests.targets import s3rver, swift

from nimbi.drivers.ec2.login import AccessKey
from nimbi.drivers.s3 import DRIVER
from nimbi.drivertest import ConformsToBlobs, ConformsToBuckets, opened
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.streams import content_of, read, write
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import BlobPlace, ByteRange, NewBlob, NewBucket
from nimbi.model.errors import Forbidden, NotFound, Unauthorized

METADATA = {"colour": "blue"}


@pytest.fixture(scope="session")
def swift_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with swift.store(tmp_path_factory.mktemp("swift")) as url:
        yield url


@pytest.fixture(scope="session")
def s3rver_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3rver.store(tmp_path_factory.mktemp("s3rver")) as url:
        yield url


class OnSwift:
    @pytest.fixture
    async def cloud(self, swift_store: str, tmp_path: Path) -> AsyncIterator[Cloud]:
        login = AccessKey(swift.USER, swift.PASSWORD)
        async with opened(DRIVER, tmp_path, credentials=login, provider=swift_store) as cloud:
            yield cloud


class OnS3rver:
    @pytest.fixture
    async def cloud(self, s3rver_store: str, tmp_path: Path) -> AsyncIterator[Cloud]:
        login = AccessKey(s3rver.USER, s3rver.PASSWORD)
        async with opened(DRIVER, tmp_path, credentials=login, provider=s3rver_store) as cloud:
            yield cloud


class TestBucketsOfSwift(OnSwift, TellsLess, ConformsToBuckets):
    pass


class TestBlobsOfSwift(OnSwift, TellsLess, ConformsToBlobs):
    pass


class TestLoginsOfSwift:
    @pytest.mark.parametrize("user", [swift.USER, "nobody:here"])
    async def test_a_wrong_login_is_refused(
        self, swift_store: str, tmp_path: Path, user: str
    ) -> None:
        login = AccessKey(user, "wr0ng-s3cret")
        async with opened(DRIVER, tmp_path, credentials=login, provider=swift_store) as cloud:
            with pytest.raises((Unauthorized, Forbidden)) as refused:
                await cloud.buckets.page(None, 1)
        assert login.password not in str(refused.value)


class TestBucketsOfS3rver(OnS3rver, TellsLess, ConformsToBuckets):
    pass


class TestBlobsOfS3rver(OnS3rver):
    """Not the whole suite: it ends at names too long for a file, and knows no pages by token."""

    @pytest.fixture
    async def bucket(self, cloud: Cloud) -> str:
        return (await cloud.buckets.create(NewBucket(name=fresh_name()))).id

    @pytest.mark.parametrize("id", ["a blob", "a/b+c%2F", "ü/☃"])
    async def test_a_blob_comes_back(self, cloud: Cloud, bucket: str, id: str) -> None:
        await write(cloud, bucket, id, b"content", content_type="text/x-test", metadata=METADATA)
        assert await read(cloud, bucket, id) == b"content"
        assert await read(cloud, bucket, id, ByteRange(1, 3)) == b"ont"
        told = await cloud.blobs.get(bucket, id)
        assert (told.content_type, told.metadata) == ("text/x-test", METADATA)
        assert [blob.id for blob in (await cloud.blobs.page(bucket, None, 100)).items] == [id]
        await cloud.blobs.destroy(bucket, id)
        with pytest.raises(NotFound):
            await cloud.blobs.get(bucket, id)

    async def test_parts_make_the_whole(self, cloud: Cloud, bucket: str) -> None:
        content = content_of(20_000_000)
        await write(cloud, bucket, "large", content)
        assert await read(cloud, bucket, "large") == content
        copy = await cloud.blobs.copy(
            BlobPlace(bucket, "large"), NewBlob(bucket_id=bucket, id="copy")
        )
        assert copy.size_bytes == len(content)
