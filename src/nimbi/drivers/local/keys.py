"""Keys of the local cloud. A private key is told once, and kept nowhere."""

import asyncio
import hashlib
import hmac
import re
from typing import ClassVar

from nimbi.driver.compute import Keys
from nimbi.drivers.local.session import LocalCloud, OfSession
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.keys import Key, NewKey
from nimbi.model.page import Page
from nimbi.qemu import Key as Kept

PLAIN = re.compile(r"(?!key-)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names that are ids as they are; others would not do in a URL."""


class LocalKeys(OfSession, Keys):
    """Key pairs, ed25519. The same token makes the same pair, so a lost answer can be had again."""

    features: ClassVar[frozenset[str]] = frozenset({"import_key"})

    async def page(self, marker: str | None, limit: int) -> Page[Key]:
        found = await asyncio.to_thread(self.cloud.hypervisor.keys.all)
        return self.paged((_told(key) for key in found), marker, limit, lambda key: key.id)

    async def get(self, id: str) -> Key:
        return _told(await find_key(self.cloud, id))

    async def create(self, new: NewKey) -> Key:
        keys, secret = self.cloud.hypervisor.keys, self.cloud.secret
        if new.public_key is not None:
            return _told(
                await asyncio.to_thread(keys.add, new.name, new.public_key, token=new.token)
            )
        if not new.name.isprintable():
            raise Invalid("the name of a key has no control characters")
        seed = None
        if new.token is not None:
            words = f"{len(new.name)}\0{new.name}\0{new.token}"
            seed = hmac.digest(secret, words.encode(errors="surrogatepass"), hashlib.sha256)
        made, private = await asyncio.to_thread(keys.create, new.name, token=new.token, seed=seed)
        return _told(made, private)

    async def destroy(self, id: str) -> None:
        key = await find_key(self.cloud, id)
        await asyncio.to_thread(self.cloud.hypervisor.keys.remove, key.name)


async def find_key(cloud: LocalCloud, id: str) -> Kept:
    """Return the key of this id. Raises NotFound."""
    for key in await asyncio.to_thread(cloud.hypervisor.keys.all):
        if key_id(key.name) == id:
            return key
    raise NotFound(f"there is no key {id!r}")


def key_id(name: str) -> str:
    """Return the id of the key with this name."""
    if PLAIN.fullmatch(name):
        return name
    return f"key-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _told(key: Kept, private_key: str | None = None) -> Key:
    return Key(
        id=key_id(key.name),
        name=key.name,
        fingerprint=key.fingerprint,
        public_key=key.public_key,
        private_key=private_key,
    )
