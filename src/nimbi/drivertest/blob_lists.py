"""What holds for lists of blobs by prefix and delimiter."""

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.streams import write
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import BlobFilter, BlobPage, Bucket
from nimbi.model.errors import Invalid, NotFound, Unsupported

NAMES = (
    *("a", "a-b", "a/", "a/b", "a/b/c", "a/b/d", "a/ü", "a0", "b", "b//c", "b/c"),
    *("c--d", "c--e/f", "é/1", "é/2", "☃", "𝕏/y"),
)
PREFIXES = (None, "", "a", "a/", "a/b", "a/b/", "b/", "c", "é", "é/1", "nothing", "𝕏")
DELIMITERS = (None, "/", "-", "--", "b", "é")


class ConformsToBlobLists(Conformance):
    @pytest.fixture
    async def named(self, cloud: Cloud, bucket: Bucket) -> tuple[str, ...]:
        """Names of blobs in `bucket`, in order."""
        for name in NAMES:
            await write(cloud, bucket.id, name, b"x")
        return tuple(sorted(NAMES))

    @needs("page", "write")
    @needs_feature(Blobs, "prefix")
    async def test_a_prefix_shows_what_begins_with_it(
        self, cloud: Cloud, bucket: Bucket, named: tuple[str, ...]
    ) -> None:
        for prefix in PREFIXES:
            where = BlobFilter(prefix=prefix)
            for limit in (2, 1000):
                each = cloud.each(Blobs.page, bucket.id, limit=limit, where=where)
                found = [blob.id async for blob in each]
                assert found == [name for name in named if name.startswith(prefix or "")]

    @needs("page", "write")
    @needs_feature(Blobs, "prefix")
    @needs_feature(Blobs, "delimiter")
    @pytest.mark.parametrize("limit", [1, 2, 3, 1000])
    async def test_a_delimiter_joins_what_is_alike_up_to_it(
        self, cloud: Cloud, bucket: Bucket, named: tuple[str, ...], limit: int
    ) -> None:
        for prefix in PREFIXES:
            for delimiter in filter(None, DELIMITERS):
                where = BlobFilter(prefix=prefix, delimiter=delimiter)
                pages = await _pages(cloud, bucket.id, limit, where)
                ids = [blob.id for page in pages for blob in page.items]
                prefixes = [found for page in pages for found in page.prefixes]
                assert (ids, prefixes) == _expected(named, prefix or "", delimiter)
                assert _is_ordered(pages, limit)

    @needs("page", "write")
    @needs_feature(Blobs, "prefix")
    async def test_a_marker_of_another_filter_is_invalid(
        self, cloud: Cloud, bucket: Bucket, named: tuple[str, ...]
    ) -> None:
        page = await cloud.call(Blobs.page, bucket.id, None, 1, BlobFilter(prefix="a"))
        with pytest.raises(Invalid):
            await cloud.call(Blobs.page, bucket.id, page.next, 1, BlobFilter(prefix="a/"))

    @needs("page", "write")
    @needs_feature(Blobs, "delimiter")
    async def test_a_list_by_delimiter_is_not_taken_for_the_whole_one(
        self, cloud: Cloud, bucket: Bucket, named: tuple[str, ...]
    ) -> None:
        with pytest.raises(Invalid):
            cloud.each(Blobs.page, bucket.id, where=BlobFilter(delimiter="/"))

    @needs("page")
    @needs_feature(Blobs, "prefix")
    async def test_a_filter_for_an_unknown_bucket_is_not_found(self, cloud: Cloud) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Blobs.page, "no-such-bucket", None, 10, BlobFilter(prefix="a"))

    @needs("page")
    @pytest.mark.parametrize("feature", ["prefix", "delimiter"])
    async def test_a_filter_of_blobs_that_is_not_honoured_is_refused(
        self, cloud: Cloud, bucket: Bucket, feature: str
    ) -> None:
        if feature in cloud.features(Blobs):
            pytest.skip(f"{cloud.driver.name} honours blobs.{feature}")
        with pytest.raises(Unsupported):
            await cloud.call(Blobs.page, bucket.id, None, 10, BlobFilter(**{feature: "a"}))


async def _pages(cloud: Cloud, bucket_id: str, limit: int, where: BlobFilter) -> list[BlobPage]:
    found: list[BlobPage] = []
    while not found or found[-1].next is not None:
        marker = found[-1].next if found else None
        found.append(await cloud.call(Blobs.page, bucket_id, marker, limit, where))
    return found


def _expected(names: tuple[str, ...], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """Return ids and prefixes, by the plainest way to tell them."""
    ids, prefixes = [], []
    for name in names:
        if name.startswith(prefix):
            head, cut, _ = name.removeprefix(prefix).partition(delimiter)
            if not cut:
                ids.append(name)
            elif prefix + head + cut not in prefixes:
                prefixes.append(prefix + head + cut)
    return ids, prefixes


def _is_ordered(pages: list[BlobPage], limit: int) -> bool:
    """Say whether each page holds up to `limit` entries, and all of it is before the next page."""
    entries = [sorted([*(blob.id for blob in p.items), *p.prefixes]) for p in pages]
    flat = [entry for page in entries for entry in page]
    return flat == sorted(flat) and all(len(page) <= limit for page in entries)
