"""What holds for the lists of every collection, and for single things in them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from nimbi.drivertest.conformance import Conformance
from nimbi.drivertest.needs import needs, require
from nimbi.drivertest.oddities import ODD_IDS, ODD_MARKERS
from nimbi.drivertest.shapes import faults_in, page_faults, plain, references
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.page import Page
from nimbi.model.resource import Resource

Operation = Callable[..., Awaitable[Any]]

MANY = 1000
READERS = 16
# A list on a real cloud may have thousands of things; these are looked at one by one.
LOOKED_AT = 25


class ConformsToReading(Conformance):
    """Lists and look-ups of one collection. `kind` is what the collection holds."""

    kind: ClassVar[type[Resource]]

    @pytest.fixture
    async def at(self) -> tuple[str, ...]:
        """What comes before the marker or the id in every call: the bucket of a blob."""
        return ()

    @pytest.fixture
    async def several(self) -> tuple[str, ...]:
        """Ids of things that are there during the test; a class that can make some does so."""
        return ()

    @needs("page")
    @pytest.mark.parametrize("limit", [1, 2, 3])
    async def test_paging_by_few_gives_the_same_as_paging_by_many(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...], limit: int
    ) -> None:
        by_few = await self.listed(cloud, at, limit)
        assert by_few == await self.listed(cloud, at, MANY)
        assert set(several) <= set(by_few)

    @needs("page")
    async def test_nothing_is_listed_twice(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        ids = await self.listed(cloud, at, 2)
        assert sorted(ids) == sorted(set(ids))

    @needs("page")
    async def test_the_order_is_the_same_at_each_look(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        assert await self.listed(cloud, at, MANY) == await self.listed(cloud, at, MANY)

    @needs("page")
    async def test_a_page_holds_no_more_than_its_limit(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        page: Page[Resource] = await cloud.call(self.operation("page"), *at, None, 1)
        assert not page_faults(page)
        assert len(page.items) <= 1

    @needs("page")
    async def test_a_list_of_more_than_its_limit_has_a_next_page(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        whole = await self.listed(cloud, at, MANY)
        page: Page[Resource] = await cloud.call(self.operation("page"), *at, None, 1)
        assert (page.next is not None) == (len(whole) > 1)

    @needs("page")
    @pytest.mark.parametrize("limit", [0, -1, 1001])
    async def test_a_limit_outside_of_1_to_1000_is_invalid(
        self, cloud: Cloud, at: tuple[str, ...], limit: int
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(self.operation("page"), *at, None, limit)

    @needs("page")
    @pytest.mark.parametrize("marker", ODD_MARKERS)
    async def test_a_marker_that_was_never_given_is_invalid(
        self, cloud: Cloud, at: tuple[str, ...], marker: str
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(self.operation("page"), *at, marker, 10)

    @needs("page")
    async def test_every_field_has_the_type_of_the_model(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        faults = [f for thing in await self.things(cloud, at) for f in faults_in(thing, self.kind)]
        assert not faults

    @needs("page", "get")
    async def test_a_single_look_tells_the_same_as_the_list(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        for thing in (await self.things(cloud, at))[:LOOKED_AT]:
            alone = self.as_listed(await cloud.call(self.operation("get"), *at, thing.id))
            if alone != self.as_listed(thing):
                # What becomes ready by itself has done so between the two; then a list tells it.
                assert alone in map(self.as_listed, await self.things(cloud, at))

    @needs("page")
    async def test_every_reference_leads_to_a_thing(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        for thing in (await self.things(cloud, at))[:LOOKED_AT]:
            for field, interface, id in references(thing):
                get: Operation = getattr(interface, "get")  # noqa: B009  of no single interface
                if cloud.supports(get):
                    found = await cloud.call(get, id)
                    assert found.id == id, f"{field} of {thing.id}"

    @needs("get")
    @pytest.mark.parametrize("id", ODD_IDS)
    async def test_an_unknown_id_is_not_found(
        self, cloud: Cloud, at: tuple[str, ...], id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(self.operation("get"), *at, id)

    @needs("page")
    async def test_16_readers_at_once_are_served_alike(
        self, cloud: Cloud, at: tuple[str, ...], several: tuple[str, ...]
    ) -> None:
        lists = await asyncio.gather(*(self.listed(cloud, at, 2) for _ in range(READERS)))
        assert all(found == lists[0] for found in lists)

    def operation(self, verb: str) -> Operation:
        """Return an operation of the tested collection."""
        found: Operation = getattr(self.interface, verb)
        return found

    async def things(self, cloud: Cloud, at: tuple[str, ...], limit: int = MANY) -> list[Any]:
        """Return the whole list, read in pages of `limit`."""
        return [item async for item in cloud.each(self.operation("page"), *at, limit=limit)]

    async def listed(self, cloud: Cloud, at: tuple[str, ...], limit: int = MANY) -> list[str]:
        """Return the ids of the whole list, read in pages of `limit`."""
        return [thing.id for thing in await self.things(cloud, at, limit)]

    def as_listed(self, thing: Any) -> Any:
        """Return a thing with only what a list tells as well as a single look."""
        return plain(thing)


class ConformsToActions(ConformsToReading):
    """`actions` are the verbs that act on one thing, with what comes after its id."""

    actions: ClassVar[dict[str, tuple[Any, ...]]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "action" in metafunc.fixturenames:
            metafunc.parametrize("action", list(self.actions))

    @pytest.mark.parametrize("id", ODD_IDS)
    async def test_an_action_on_an_unknown_id_is_not_found(
        self, cloud: Cloud, at: tuple[str, ...], action: str, id: str
    ) -> None:
        require(cloud, self.operation(action))
        with pytest.raises(NotFound):
            await cloud.call(self.operation(action), *at, id, *self.actions[action])
