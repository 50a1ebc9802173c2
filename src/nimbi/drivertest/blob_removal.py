"""What holds for blobs that are destroyed many at once."""

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.streams import write
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import Bucket
from nimbi.model.errors import Invalid, NotFound

# Names that any form on the wire must carry as they are.
NAMES = (
    "plain",
    "a/b",
    "a b",
    "ünïcödé-☃",
    "𝕏",
    "<b>&amp;",
    "a%2Fb",
    "a+b",
    "a?b=c&d#e",
    "'\"",
    "..",
)


class ConformsToBlobRemoval(Conformance):
    @needs("write", "page", "destroy_many")
    async def test_many_blobs_of_any_name_go_at_once_and_the_others_stay(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        names: list[str] = []
        for name in NAMES:
            try:
                names.append((await write(cloud, bucket.id, name, b"x")).id)
            except Invalid:
                continue
        doomed = tuple(names[1:])
        assert await cloud.call(Blobs.destroy_many, bucket.id, doomed) == ()
        left = [blob.id async for blob in cloud.each(Blobs.page, bucket.id)]
        assert left == names[:1]

    @needs("write", "page", "destroy_many")
    async def test_a_thousand_ids_may_be_told_and_what_is_not_there_counts_as_destroyed(
        self, cloud: Cloud, bucket: Bucket
    ) -> None:
        await write(cloud, bucket.id, "blob 7", b"x")
        ids = tuple(f"blob {number}" for number in range(999))
        assert await cloud.call(Blobs.destroy_many, bucket.id, (*ids, "blob 7")) == ()
        assert not [blob async for blob in cloud.each(Blobs.page, bucket.id)]

    @needs("destroy_many")
    @pytest.mark.parametrize("count", [0, 1001])
    async def test_a_number_of_ids_outside_of_1_to_1000_is_invalid(
        self, cloud: Cloud, bucket: Bucket, count: int
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Blobs.destroy_many, bucket.id, ("one",) * count)

    @needs("destroy_many")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_many_blobs_of_an_unknown_bucket_are_not_found(
        self, cloud: Cloud, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Blobs.destroy_many, id, ("one", "two"))
