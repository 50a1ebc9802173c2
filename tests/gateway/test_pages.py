"""Whole lists."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.driver.blobs import Blobs
from nimbi.driver.compute import Instances, Keys
from nimbi.driver.interface import Driver
from nimbi.driver.states import StateMachine
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import BlobFilter
from nimbi.model.errors import CloudError, CloudUnavailable, Conflict, Invalid, Unsupported
from nimbi.model.instances import InstanceFilter
from nimbi.model.keys import Key
from nimbi.model.page import Page


class ListedKeys(Keys):
    """Keys in pages that may be shorter than asked, as some clouds give them."""

    def __init__(self, keys: list[Key], cuts: list[int]) -> None:
        self.keys = keys
        self.cuts = cuts

    async def page(self, marker: str | None, limit: int) -> Page[Key]:
        first = int(marker or 0)
        cut = self.cuts[first % len(self.cuts)] if self.cuts else limit
        last = first + min(limit, cut)
        return Page(tuple(self.keys[first:last]), str(last) if last < len(self.keys) else None)


@asynccontextmanager
async def nothing(*_args: object) -> AsyncIterator[None]:
    yield


KEYS = Driver(
    name="listed",
    title="A list of keys",
    start=nothing,
    open=nothing,
    collections=(ListedKeys,),
    instance_states=StateMachine((), ()),
)


@given(
    names=st.lists(st.text(max_size=3), max_size=30),
    limit=st.integers(1, 1000),
    cuts=st.lists(st.integers(1, 10), max_size=5),
)
async def test_paging_by_any_limit_gives_the_same_items(
    names: list[str], limit: int, cuts: list[int]
) -> None:
    keys = [Key(id=name, name=name) for name in names]
    cloud = Cloud(KEYS, {"keys": ListedKeys(keys, cuts)})
    assert [key async for key in cloud.each(Keys.page, limit=limit)] == keys


async def test_arguments_before_the_marker_and_a_filter_reach_each_page(cloud, script):
    script["instances.page"] = [Page((1,), "m"), Page((), "n"), Page((2, 2))]
    where = InstanceFilter()
    found = [i async for i in cloud.each(Instances.page, limit=7, where=where)]
    assert found == [1, 2, 2]
    assert script.calls == [("instances.page", m, 7, where) for m in (None, "m", "n")]


async def test_a_marker_that_comes_again_is_an_error_and_no_endless_loop(cloud, script):
    script["instances.page"] = [Page((1,), "a"), Page((2,), "b"), Page((3,), "a")]
    seen = []
    with pytest.raises(CloudError, match=r"scripted: instances\.page gave the same marker twice"):
        async for item in cloud.each(Instances.page):
            seen.append(item)
    assert seen == [1, 2, 3]


async def test_a_list_that_breaks_off_raises(cloud, script):
    script["instances.page"] = [Page((1,), "a"), Conflict("c")]
    seen = []
    with pytest.raises(Conflict):
        async for item in cloud.each(Instances.page):
            seen.append(item)
    assert seen == [1]


@pytest.mark.looptime
async def test_each_page_is_tried_again_on_its_own(cloud, script):
    script["instances.page"] = [Page((1,), "a"), CloudUnavailable("c"), Page((2,))]
    assert [i async for i in cloud.each(Instances.page)] == [1, 2]


async def test_a_list_that_the_driver_lacks_is_refused(cloud):
    with pytest.raises(Unsupported):
        _ = [i async for i in cloud.each(Keys.page)]


async def test_a_list_by_delimiter_is_not_read_as_if_it_had_items_only() -> None:
    cloud = Cloud(KEYS, {})
    with pytest.raises(Invalid):
        cloud.each(Blobs.page, "bucket", where=BlobFilter(delimiter="/"))
