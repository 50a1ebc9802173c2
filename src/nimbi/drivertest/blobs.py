"""What holds for blobs on every cloud."""

from typing import Any, ClassVar

import pytest

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.operation import Collection
from nimbi.drivertest.blob_conditions import ConformsToBlobConditions
from nimbi.drivertest.blob_content import ConformsToBlobContent
from nimbi.drivertest.blob_copies import ConformsToBlobCopies
from nimbi.drivertest.blob_lists import ConformsToBlobLists
from nimbi.drivertest.blob_metadata import ConformsToBlobMetadata
from nimbi.drivertest.blob_ranges import ConformsToBlobRanges
from nimbi.drivertest.blob_removal import ConformsToBlobRemoval
from nimbi.drivertest.blob_uploads import ConformsToBlobUploads
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.needs import needs, require
from nimbi.drivertest.oddities import FEW_ODD_IDS, ODD_IDS, ODD_NAMES
from nimbi.drivertest.reading import ConformsToReading
from nimbi.drivertest.streams import read, write
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Blob, Bucket, NewBucket
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.resource import Resource

# In the order in which a list shows them: that of their code points, which is that of UTF-8.
ORDERED = ("A", "Z", "a", "a-b", "a/b", "a/b/c", "b", "blob 2", "blob1", "é", "☃", "𝕏")


class ConformsToBlobs(
    ConformsToBlobContent,
    ConformsToBlobRanges,
    ConformsToBlobMetadata,
    ConformsToBlobUploads,
    ConformsToBlobLists,
    ConformsToBlobConditions,
    ConformsToBlobCopies,
    ConformsToBlobRemoval,
    ConformsToReading,
):
    """Where buckets cannot be made, an author overrides `bucket` by one that is empty."""

    interface: ClassVar[type[Collection]] = Blobs
    kind: ClassVar[type[Resource]] = Blob

    @pytest.fixture
    async def at(self, bucket: Bucket) -> tuple[str, ...]:
        return (bucket.id,)

    @pytest.fixture
    async def several(self, cloud: Cloud, bucket: Bucket) -> tuple[str, ...]:
        require(cloud, Blobs.write)
        for id in ("one", "two", "three", "four"):
            await write(cloud, bucket.id, id, id.encode(), content_type="text/plain")
        return ("one", "two", "three", "four")

    @needs("write", "page")
    @pytest.mark.parametrize("limit", [1, 5, 1000])
    async def test_blobs_are_listed_in_the_order_of_their_ids(
        self, cloud: Cloud, bucket: Bucket, limit: int
    ) -> None:
        for id in reversed(ORDERED):
            await write(cloud, bucket.id, id, b"x")
        assert await self.listed(cloud, (bucket.id,), limit) == list(ORDERED)

    @needs("write", "page", "destroy")
    async def test_a_list_loses_and_doubles_nothing_while_blobs_come_and_go(
        self, cloud: Cloud, bucket: Bucket, several: tuple[str, ...]
    ) -> None:
        steady, seen, marker = {"one", "three"}, [], None
        for event in ("go", "come", "none", "none", "none", "none"):
            page = await cloud.call(Blobs.page, bucket.id, marker, 1)
            seen += [blob.id for blob in page.items]
            if event == "go":
                # "four" was just seen, and the marker may stand for it.
                await cloud.call(Blobs.destroy, bucket.id, "four")
                await cloud.call(Blobs.destroy, bucket.id, "two")
            elif event == "come":
                await write(cloud, bucket.id, "a new one", b"x")
                await write(cloud, bucket.id, "zero", b"x")
            if (marker := page.next) is None:
                break
        assert marker is None
        assert sorted(seen) == sorted(set(seen))
        assert steady <= set(seen)

    @needs("write", "read", "get", "destroy")
    @pytest.mark.parametrize("id", ODD_NAMES)
    async def test_a_blob_of_any_name_is_kept_or_refused(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        try:
            blob = await write(cloud, bucket.id, id, b"content")
        except Invalid:
            assert not await self.listed(cloud, (bucket.id,))
            return
        assert blob.id == id
        assert (await cloud.call(Blobs.get, bucket.id, id)).id == id
        assert await read(cloud, bucket.id, id) == b"content"
        assert await self.listed(cloud, (bucket.id,)) == [id]
        await cloud.call(Blobs.destroy, bucket.id, id)
        assert not await self.listed(cloud, (bucket.id,))

    @needs("write")
    async def test_a_blob_without_a_name_is_invalid(self, cloud: Cloud, bucket: Bucket) -> None:
        with pytest.raises(Invalid):
            await write(cloud, bucket.id, "", b"content")

    @needs("write", "read")
    async def test_names_that_look_alike_are_different_blobs(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        # Composed and decomposed, cases, and paths that a file system would join.
        alike = ("é", "e\u0301", "Name", "name", "a/b", "a//b", "a/./b", "a%2Fb")
        kept = []
        for id in alike:
            try:
                await write(cloud, bucket.id, id, id.encode())
            except Invalid:
                continue
            kept.append(id)
        assert {id: await read(cloud, bucket.id, id) for id in kept} == {
            id: id.encode() for id in kept
        }

    @needs("write", "get", Buckets.create)
    async def test_one_name_in_two_buckets_is_two_blobs(
        self, cloud: Cloud, made: Made, bucket: Bucket
    ) -> None:
        other = await made.create(Buckets, NewBucket(name=fresh_name()))
        await write(cloud, bucket.id, "a blob", b"one")
        await write(cloud, other.id, "a blob", b"other")
        assert await read(cloud, bucket.id, "a blob") == b"one"
        assert await read(cloud, other.id, "a blob") == b"other"

    @needs("write", "get", "page", "destroy")
    async def test_a_destroyed_blob_is_gone(self, cloud: Cloud, bucket: Bucket) -> None:
        await write(cloud, bucket.id, "a blob", b"content", metadata={"old": "1"})
        await cloud.call(Blobs.destroy, bucket.id, "a blob")
        with pytest.raises(NotFound):
            await cloud.call(Blobs.get, bucket.id, "a blob")
        assert not await self.listed(cloud, (bucket.id,))

    @needs("destroy")
    @pytest.mark.parametrize("id", ODD_IDS)
    async def test_destroying_an_unknown_blob_is_not_found(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Blobs.destroy, bucket.id, id)

    @needs("read")
    @pytest.mark.parametrize("id", ODD_IDS)
    async def test_reading_an_unknown_blob_is_not_found(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Blobs.read, bucket.id, id)

    @needs("set_metadata")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_metadata_of_an_unknown_blob_is_not_found(
        self, cloud: Cloud, bucket: Bucket, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Blobs.set_metadata, bucket.id, id, {"colour": "blue"})

    @pytest.mark.parametrize("verb", ["page", "get", "read", "destroy", "set_metadata", "write"])
    @pytest.mark.parametrize("id", ODD_IDS)
    async def test_an_unknown_bucket_is_not_found(self, cloud: Cloud, verb: str, id: str) -> None:
        require(cloud, self.operation(verb))
        arguments: dict[str, tuple[Any, ...]] = {
            "page": (None, 10),
            "set_metadata": ("a blob", {}),
        }
        with pytest.raises(NotFound):
            if verb == "write":
                await write(cloud, id, "a blob", b"content")
            else:
                await cloud.call(self.operation(verb), id, *arguments.get(verb, ("a blob",)))
