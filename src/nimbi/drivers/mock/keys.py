"""Keys of the mock cloud."""

from typing import ClassVar

import msgspec

from nimbi.driver.compute import Keys
from nimbi.drivers.mock.naming import checked
from nimbi.drivers.mock.pem import fake_private_key, fingerprint, made_public_key
from nimbi.drivers.mock.session import OfSession, offered
from nimbi.drivers.mock.world import State
from nimbi.model.errors import Conflict
from nimbi.model.keys import Key, NewKey
from nimbi.model.page import Page


@offered
class MockKeys(OfSession, Keys):
    """Key pairs. Their private parts are text in the form of a key."""

    features: ClassVar[frozenset[str]] = frozenset({"import_key"})

    async def page(self, marker: str | None, limit: int) -> Page[Key]:
        return self.paged(self.session.state.keys, marker, limit)

    async def get(self, id: str) -> Key:
        return self.session.state.keys.get(id, "key")

    async def create(self, new: NewKey) -> Key:
        name = checked(new.name, "the name of the key")
        with self.session.change() as state:
            if made := state.made_with("keys.create", new.token):
                key = state.keys.get(made[0], "key")
            else:
                key = _made(state, name, new)
        return key if new.public_key is not None else _with_private_part(key)

    async def destroy(self, id: str) -> None:
        with self.session.change() as state:
            state.keys.get(id, "key")
            state.keys = state.keys.without(id)


def _made(state: State, name: str, new: NewKey) -> Key:
    if any(key.name == name for key in state.keys.whole.items):
        raise Conflict(f"there is a key named {name!r} already")
    public_key = made_public_key(name) if new.public_key is None else new.public_key.strip()
    key = Key(
        id=state.fresh_id("key", state.keys, name),
        name=name,
        fingerprint=fingerprint(public_key),
        public_key=public_key,
    )
    state.keys = state.keys.having(key)
    state.remember("keys.create", new.token, key.id)
    return key


def _with_private_part(key: Key) -> Key:
    return msgspec.structs.replace(key, private_key=fake_private_key(key.fingerprint or ""))
