"""What holds for everything that can be made and destroyed."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec.structs import replace

from nimbi.drivertest.moves import comes_true
from nimbi.drivertest.needs import needs, require
from nimbi.drivertest.oddities import ODD_IDS, ODD_NAMES
from nimbi.drivertest.reading import ConformsToReading
from nimbi.drivertest.samples import undeclared
from nimbi.drivertest.shapes import faults_in
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import CloudError, Conflict, Invalid, NotFound, Unsupported
from nimbi.model.features import features_of
from nimbi.model.page import Page
from nimbi.model.resource import Resource

# Makes a wish, a new one each time, that the cloud can grant. It is a NewX with `token` unset.
Wish = Callable[[], Any]

ASKERS = 8


class ConformsToCreating(ConformsToReading):
    """Making and destroying things of one collection.

    A class gives the fixture `wish`. `crowd` is how many things a test of lists makes.
    """

    crowd: ClassVar[int] = 3

    @pytest.fixture
    def wish_if_any(self, request: pytest.FixtureRequest, cloud: Cloud) -> Wish | None:
        """What makes wishes; None when the cloud can grant none, so that lists are tested still."""
        if not cloud.supports(self.operation("create")):
            return None
        try:
            wish: Wish = request.getfixturevalue("wish")
        except pytest.skip.Exception:
            return None
        return wish

    @pytest.fixture
    async def several(self, made: Made, wish_if_any: Wish | None) -> tuple[str, ...]:
        """Ids of `crowd` new things, where the cloud can make some."""
        if wish_if_any is None:
            return ()
        return tuple([(await made.create(self.interface, wish_if_any())).id for _ in self.counted])

    @property
    def counted(self) -> range:
        return range(self.crowd)

    @needs("create", "get", "page")
    async def test_what_was_made_is_found(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        new = await made.create(self.interface, wish())
        assert not faults_in(new, self.kind)
        assert (await cloud.call(self.operation("get"), new.id)).id == new.id
        assert (await self.listed(cloud, ())).count(new.id) == 1

    @needs("create")
    async def test_two_wishes_make_two_things(self, made: Made, wish: Wish) -> None:
        one = await made.create(self.interface, wish())
        other = await made.create(self.interface, wish())
        assert one.id != other.id

    @needs("create", "page")
    async def test_the_same_token_twice_makes_one_thing(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        asked = replace(wish(), token=str(uuid.uuid4()))
        before = set(await self.listed(cloud, ()))
        first = await made.create(self.interface, asked)
        second = await made.create(self.interface, asked)
        assert second.id == first.id
        assert set(await self.listed(cloud, ())) - before == {first.id}

    @needs("create", "page")
    async def test_the_same_token_from_many_at_once_makes_one_thing(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        asked = replace(wish(), token=str(uuid.uuid4()))
        before = set(await self.listed(cloud, ()))
        await made.watch(self.interface)
        answers = await asyncio.gather(
            *(cloud.call(self.operation("create"), asked) for _ in range(ASKERS)),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, Resource):
                made.track(self.interface, answer.id)
        # Whoever comes while the first one is being served may be told so, and ask again.
        assert all(isinstance(answer, Resource | Conflict) for answer in answers), answers
        told = {answer.id for answer in answers if isinstance(answer, Resource)}
        assert len(told) == 1
        assert set(await self.listed(cloud, ())) - before == told

    @needs("create", "destroy", "get", "page")
    async def test_what_was_destroyed_is_gone(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        new = await made.create(self.interface, wish())
        await made.destroy(self.interface, new.id)
        with pytest.raises(NotFound):
            await cloud.call(self.operation("get"), new.id)

        async def is_unlisted() -> bool:
            return new.id not in await self.listed(cloud, ())

        await comes_true(is_unlisted, "it is still listed", self.patience_s)

    @needs("create", "destroy")
    async def test_what_was_destroyed_cannot_be_destroyed_again(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        new = await made.create(self.interface, wish())
        await made.destroy(self.interface, new.id)
        with pytest.raises(NotFound):
            await cloud.call(self.operation("destroy"), new.id)

    @needs("create", "destroy", "get")
    async def test_what_many_destroy_at_once_is_gone(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        new = await made.create(self.interface, wish())
        await made.ready(self.interface, new.id)
        answers = await asyncio.gather(
            *(cloud.call(self.operation("destroy"), new.id) for _ in range(ASKERS)),
            return_exceptions=True,
        )
        assert all(a is None or isinstance(a, NotFound | Conflict) for a in answers), answers
        assert None in answers

    @needs("destroy")
    @pytest.mark.parametrize("id", ODD_IDS)
    async def test_destroying_an_unknown_id_is_not_found(self, cloud: Cloud, id: str) -> None:
        with pytest.raises(NotFound):
            await cloud.call(self.operation("destroy"), id)

    @needs("create", "destroy", "page")
    async def test_a_list_loses_and_doubles_nothing_while_things_come_and_go(
        self, cloud: Cloud, made: Made, wish: Wish, several: tuple[str, ...]
    ) -> None:
        steady = set(await self.listed(cloud, ()))
        seen: list[str] = []
        marker, doomed = None, None
        while True:
            page: Page[Any] = await cloud.call(self.operation("page"), marker, 1)
            seen += [thing.id for thing in page.items]
            if doomed is None and seen and seen[-1] in several:
                # The very thing that the marker may stand for goes, and a new one comes.
                doomed = seen[-1]
                await made.destroy(self.interface, doomed)
                await made.create(self.interface, wish())
            if (marker := page.next) is None:
                break
        assert doomed is not None
        assert sorted(seen) == sorted(set(seen))
        assert steady - set(seen) == set()

    @needs("create", "page")
    async def test_a_feature_that_is_not_honoured_is_refused_and_nothing_is_made(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        asked = wish()
        lacking = undeclared(type(asked), cloud.features(self.interface))
        if not lacking:
            pytest.skip(f"{cloud.driver.name} honours all features of {self.interface.name}")
        before = await self.listed(cloud, ())
        for field, (feature, value) in lacking.items():
            error = await self.refusal(cloud, replace(asked, **{field: value}), field)
            assert isinstance(error, Unsupported), field
            assert error.capability == f"{self.interface.name}.{feature.name}"
        assert await self.listed(cloud, ()) == before

    async def refusal(self, cloud: Cloud, asked: Any, field: str) -> CloudError:
        """Return the error of a create that must not go well."""
        try:
            await cloud.call(self.operation("create"), asked)
        except CloudError as error:
            return error
        raise AssertionError(f"{field} was taken, and nothing says that it is honoured")


class ConformsToNaming(ConformsToCreating):
    """Making things to which the user gives a name."""

    @needs("create", "get")
    @pytest.mark.parametrize("name", ODD_NAMES)
    async def test_a_name_is_kept_or_refused_but_never_ignored(
        self, cloud: Cloud, made: Made, wish: Wish, name: str
    ) -> None:
        asked = wish()
        request: type[msgspec.Struct] = type(asked)
        if feature := features_of(request).get("name"):
            require(cloud, (self.interface, feature.name))
        try:
            new = await made.create(self.interface, replace(asked, name=name))
        except Invalid:
            return
        assert new.name == name
        assert (await cloud.call(self.operation("get"), new.id)).name == name


class ConformsToUniqueNaming(ConformsToNaming):
    """Making things with a name that nothing else of their kind has."""

    @needs("create", "page")
    async def test_a_name_in_use_is_a_conflict(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        asked = wish()
        await made.create(self.interface, asked)
        before = await self.listed(cloud, ())
        with pytest.raises(Conflict):
            await made.create(self.interface, replace(asked, token=str(uuid.uuid4())))
        assert await self.listed(cloud, ()) == before

    @needs("create")
    async def test_an_empty_name_is_invalid(self, made: Made, wish: Wish) -> None:
        with pytest.raises(Invalid):
            await made.create(self.interface, replace(wish(), name=""))
