"""What holds for the metadata of blobs: all of it is kept, all of it is replaced."""

from collections.abc import Mapping

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs
from nimbi.drivertest.streams import read, write
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket
from nimbi.model.errors import Invalid, NotFound

METADATA = {
    "none": {},
    "one": {"colour": "blue"},
    "several": {"colour": "blue", "shape": "round", "with-dash": "1"},
    "capitals": {"Colour": "Blue"},
}
# What an HTTP header cannot hold as it is; a cloud may refuse it, but must not change it.
ODD = {
    "spaces": {"colour": "light blue  and green"},
    "unicode": {"colour": "blåu ☃"},
    "empty value": {"colour": ""},
    "newline": {"colour": "blue\r\nx-injected: yes"},
    "nul": {"colour": "blue\x00"},
    "unicode name": {"farbe-ü": "blau"},
    "name with a space": {"two words": "x"},
    "name with a newline": {"a\r\nb": "x"},
    "empty name": {"": "x"},
    "large": {"colour": "x" * 100_000},
}


class ConformsToBlobMetadata(Conformance):
    @needs("write", "get")
    @pytest.mark.parametrize("label", list(METADATA))
    async def test_metadata_are_kept(self, cloud: Cloud, bucket: Bucket, label: str) -> None:
        await write(cloud, bucket.id, "a blob", b"content", metadata=METADATA[label])
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert _folded(told.metadata) == _folded(METADATA[label])

    @needs("write", "get")
    @pytest.mark.parametrize("label", list(ODD))
    async def test_odd_metadata_are_kept_or_refused(
        self, cloud: Cloud, bucket: Bucket, label: str
    ) -> None:
        try:
            await write(cloud, bucket.id, "a blob", b"content", metadata=ODD[label])
        except Invalid:
            with pytest.raises(NotFound):
                await cloud.call(Blobs.get, bucket.id, "a blob")
            return
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert _folded(told.metadata) == _folded(ODD[label])

    @needs("write", "get")
    async def test_a_second_write_replaces_the_metadata(self, cloud: Cloud, bucket: Bucket) -> None:
        await write(cloud, bucket.id, "a blob", b"content", metadata={"old": "1"})
        await write(cloud, bucket.id, "a blob", b"content", metadata={"new": "2"})
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert _folded(told.metadata) == {"new": "2"}

    @needs("write", "read", "set_metadata", "get")
    async def test_setting_metadata_replaces_all_and_leaves_the_content(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        old = {"old": "1", "both": "1"}
        await write(
            cloud, bucket.id, "a blob", b"content", metadata=old, content_type="text/x-test"
        )
        asked = {"both": "2", "new": "2"}
        assert _folded((await cloud.call(Blobs.set_metadata, bucket.id, "a blob", asked)).metadata)
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert _folded(told.metadata) == asked
        assert (told.content_type, told.size_bytes) == ("text/x-test", 7)
        assert await read(cloud, bucket.id, "a blob") == b"content"

    @needs("write", "set_metadata", "get")
    async def test_setting_no_metadata_removes_all(self, cloud: Cloud, bucket: Bucket) -> None:
        await write(cloud, bucket.id, "a blob", b"content", metadata={"old": "1"})
        await cloud.call(Blobs.set_metadata, bucket.id, "a blob", {})
        assert (await cloud.call(Blobs.get, bucket.id, "a blob")).metadata == {}

    @needs("write", "set_metadata", "get")
    @pytest.mark.parametrize("label", list(ODD))
    async def test_setting_odd_metadata_is_kept_or_refused(
        self, cloud: Cloud, bucket: Bucket, label: str
    ) -> None:
        await write(cloud, bucket.id, "a blob", b"content", metadata={"old": "1"})
        expected: Mapping[str, str] = ODD[label]
        try:
            await cloud.call(Blobs.set_metadata, bucket.id, "a blob", expected)
        except Invalid:
            expected = {"old": "1"}
        told = await cloud.call(Blobs.get, bucket.id, "a blob")
        assert _folded(told.metadata) == _folded(expected)


def _folded(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.casefold(): value for name, value in metadata.items()}
