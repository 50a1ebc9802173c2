"""What holds for parts of blobs: RFC 9110, section 14.1.2."""

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs
from nimbi.drivertest.streams import content_of, drained, write
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket, ByteRange
from nimbi.model.errors import Invalid, NotFound

SIZE = 100_000

# What is asked, and the first and last byte that come.
RANGES = {
    "first byte": (ByteRange(0, 0), 0, 0),
    "middle": (ByteRange(10, 69_999), 10, 69_999),
    "whole": (ByteRange(0, SIZE - 1), 0, SIZE - 1),
    "open": (ByteRange(10), 10, SIZE - 1),
    "open from 0": (ByteRange(0), 0, SIZE - 1),
    "last byte": (ByteRange(SIZE - 1), SIZE - 1, SIZE - 1),
    "suffix": (ByteRange(-10), SIZE - 10, SIZE - 1),
    "suffix of all": (ByteRange(-SIZE), 0, SIZE - 1),
    "suffix of more than all": (ByteRange(-SIZE - 5), 0, SIZE - 1),
    "end beyond the end": (ByteRange(10, SIZE + 10), 10, SIZE - 1),
    "end far beyond the end": (ByteRange(10, 10**18), 10, SIZE - 1),
}
OUTSIDE = {
    "just beyond": ByteRange(SIZE),
    "just beyond with an end": ByteRange(SIZE, SIZE + 5),
    "far beyond": ByteRange(10**18),
    "turned round": ByteRange(20, 10),
}


class ConformsToBlobRanges(Conformance):
    @pytest.fixture
    async def text(self, cloud: Cloud, bucket: Bucket) -> bytes:
        """The content of the blob `text`."""
        content = content_of(SIZE)
        await write(cloud, bucket.id, "text", content)
        return content

    @needs("write", "read")
    @pytest.mark.parametrize("label", list(RANGES))
    async def test_a_range_gives_just_its_bytes(
        self, cloud: Cloud, bucket: Bucket, text: bytes, label: str
    ) -> None:
        asked, first, last = RANGES[label]
        found = await cloud.call(Blobs.read, bucket.id, "text", asked)
        assert await drained(found) == text[first : last + 1]
        assert (found.first, found.last) == (first, last)
        assert found.blob.size_bytes == SIZE

    @needs("write", "read")
    @pytest.mark.parametrize("label", list(OUTSIDE))
    async def test_a_range_wholly_outside_is_invalid(
        self, cloud: Cloud, bucket: Bucket, text: bytes, label: str
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Blobs.read, bucket.id, "text", OUTSIDE[label])

    @needs("write", "read")
    @pytest.mark.parametrize("asked", [ByteRange(0), ByteRange(0, 0), ByteRange(-1)], ids=repr)
    async def test_an_empty_blob_has_no_range(
        self, cloud: Cloud, bucket: Bucket, asked: ByteRange
    ) -> None:
        await write(cloud, bucket.id, "empty", b"")
        with pytest.raises(Invalid):
            await cloud.call(Blobs.read, bucket.id, "empty", asked)

    @needs("read")
    async def test_a_range_of_an_unknown_blob_is_not_found(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Blobs.read, bucket.id, "no-such-blob", ByteRange(0, 1))
