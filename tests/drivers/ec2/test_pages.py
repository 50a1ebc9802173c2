"""Pages: any size of page of any list gives the whole, once each, whatever the cloud's own size."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbi.drivers.ec2.pages import REMEMBERED, Position, paged, position, sliced
from nimbi.model.errors import Invalid
from nimbi.model.realms import Realm, RealmState


def things(count: int, prefix: str = "i") -> list[Realm]:
    return [Realm(id=f"{prefix}-{n}", name=None, state=RealmState.AVAILABLE) for n in range(count)]


class Shop:
    """A list by AWS's rules: no page of fewer than five, or all at once when it ignores sizes."""

    def __init__(self, items: Sequence[Realm], ignores_size: bool = False) -> None:
        self.items = list(items)
        self.ignores_size = ignores_size

    async def fetch(self, token: str | None, size: int) -> tuple[Sequence[Realm], str | None]:
        assert 5 <= size <= 1000
        begin = int(token or 0)
        end = len(self.items) if self.ignores_size else begin + size
        return self.items[begin:end], str(end) if end < len(self.items) else None


async def collected(shops: list[Shop], limit: int) -> list[str]:
    marker, found = None, []
    while True:
        page = await paged([shop.fetch for shop in shops], marker, limit)
        assert len(page.items) <= limit
        found += [item.id for item in page.items]
        if (marker := page.next) is None:
            return found


@given(st.lists(st.integers(0, 30), min_size=1, max_size=3), st.integers(1, 20), st.booleans())
def test_a_list_read_by_pages_is_whole(sizes: list[int], limit: int, ignores_size: bool) -> None:
    shops = [Shop(things(size, f"{'abc'[at]}"), ignores_size) for at, size in enumerate(sizes)]
    whole = [item.id for shop in shops for item in shop.items]
    assert asyncio.run(collected(shops, limit)) == whole


@given(st.integers(0, 40), st.integers(1, 50))
def test_a_list_that_comes_as_a_whole_is_sliced(count: int, limit: int) -> None:
    marker, found = None, []
    while True:
        page = sliced(things(count), marker, limit)
        found += [item.id for item in page.items]
        if (marker := page.next) is None:
            break
    assert found == [item.id for item in things(count)]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_what_vanishes_between_pages_takes_nothing_else_along(gone: int) -> None:
    shop = Shop(things(5))
    first = await paged(shop.fetch, None, 3)
    del shop.items[gone]
    rest = await paged(shop.fetch, first.next, 3)
    assert [item.id for item in rest.items] == ["i-3", "i-4"]


async def test_a_place_that_cannot_be_found_again_is_invalid() -> None:
    shop = Shop(things(2 * REMEMBERED + 5), ignores_size=True)
    first = await paged(shop.fetch, None, 2 * REMEMBERED)
    del shop.items[: 2 * REMEMBERED]
    with pytest.raises(Invalid):
        await paged(shop.fetch, first.next, 5)


async def test_there_is_a_next_page_only_when_it_has_something() -> None:
    page = await paged([Shop(things(1)).fetch, Shop([]).fetch], None, 1)
    assert page.next is None


@pytest.mark.parametrize(
    "marker",
    ["", "plain", "0", "ünïcödé", "e30=", "W10", "WzUsbnVsbCxbXV0=", "Wy0xXQ==", "\ud800"],
)
def test_a_marker_of_no_page_is_invalid(marker: str) -> None:
    with pytest.raises(Invalid):
        position(marker)


def test_a_marker_leads_back_to_its_place() -> None:
    here = Position(0, "token of/the+cloud=", ("i-1", "ünïcödé"))
    assert position(here.marker()) == here
