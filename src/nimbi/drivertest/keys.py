"""What holds for keys on every cloud."""

from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Keys
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToUniqueNaming, Wish
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.samples import PUBLIC_KEY
from nimbi.drivertest.shapes import plain
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid
from nimbi.model.keys import Key, KeyKind, NewKey
from nimbi.model.resource import Resource

NO_KEYS = [
    "",
    "no key at all",
    "ssh-ed25519",
    "ssh-ed25519 !!!!",
    "ssh-ed25519 AAAA",
    "ssh-nonsense " + PUBLIC_KEY.split()[1],
    PUBLIC_KEY + "\nssh-ed25519 second line",
    'command="true" ' + PUBLIC_KEY,
    "x" * 100_000,
]


class ConformsToKeys(ConformsToUniqueNaming):
    interface: ClassVar[type[Collection]] = Keys
    kind: ClassVar[type[Resource]] = Key

    @pytest.fixture
    async def wish(self) -> Wish:
        return lambda: NewKey(name=fresh_name())

    def as_listed(self, thing: Any) -> Any:
        return plain(replace(thing, private_key=None, password=None))

    @needs("create")
    async def test_a_new_key_pair_tells_its_private_part(self, made: Made, wish: Wish) -> None:
        new = await made.create(Keys, wish())
        assert new.kind is KeyKind.KEY
        assert new.private_key.startswith("-----BEGIN ")
        assert new.fingerprint

    @needs("create", "get", "page")
    async def test_the_private_part_is_told_only_once(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        new = await made.create(Keys, wish())
        assert (await cloud.call(Keys.get, new.id)).private_key is None
        told = {key.id: key.private_key for key in await self.things(cloud, ())}
        assert told[new.id] is None

    @needs("create")
    async def test_two_key_pairs_differ(self, made: Made, wish: Wish) -> None:
        one, other = await made.create(Keys, wish()), await made.create(Keys, wish())
        assert one.private_key != other.private_key
        assert one.fingerprint != other.fingerprint

    @needs("create")
    async def test_the_private_part_is_not_in_the_repr(self, made: Made, wish: Wish) -> None:
        new = await made.create(Keys, wish())
        assert new.private_key not in repr(new)
        assert "BEGIN" not in repr(new)

    @needs("create", "get")
    @needs_feature(Keys, "import_key")
    async def test_an_imported_key_has_no_private_part(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        new = await made.create(Keys, replace(wish(), public_key=PUBLIC_KEY))
        assert new.private_key is None
        assert (await cloud.call(Keys.get, new.id)).private_key is None

    @needs("create", "get")
    @needs_feature(Keys, "import_key")
    async def test_an_imported_key_is_the_same_key(
        self, cloud: Cloud, made: Made, wish: Wish
    ) -> None:
        one = await made.create(Keys, replace(wish(), public_key=PUBLIC_KEY))
        other = await made.create(Keys, replace(wish(), public_key=PUBLIC_KEY))
        assert one.fingerprint == other.fingerprint
        told = (await cloud.call(Keys.get, one.id)).public_key
        assert told is None or told.split()[:2] == PUBLIC_KEY.split()[:2]

    @needs("create")
    @needs_feature(Keys, "import_key")
    @pytest.mark.parametrize("text", NO_KEYS, ids=lambda text: text[:24] or "empty")
    async def test_a_public_key_that_is_none_is_invalid(
        self, made: Made, wish: Wish, text: str
    ) -> None:
        with pytest.raises(Invalid):
            await made.create(Keys, replace(wish(), public_key=text))
