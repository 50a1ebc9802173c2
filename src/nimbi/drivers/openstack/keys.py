"""Keys: Nova knows a key pair by its name, and so do servers."""

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from nimbi.driver.compute import Keys
from nimbi.drivers.openstack.calls import quoted
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.servers import one, version
from nimbi.drivers.openstack.session import OfSession, Session
from nimbi.drivers.openstack.wishes import Sent, once
from nimbi.model.errors import CloudError, Conflict, Invalid, NotFound
from nimbi.model.keys import Key, NewKey
from nimbi.model.page import Page
from nimbi.model.public_keys import checked

LONGEST_NAME = 255

# The last microversion in which Nova makes keys; later ones take only what others made.
MAKES_KEYS = "2.91"

# Before the last name of a page, in a marker.
AFTER = "after "


class OpenStackKeys(OfSession, Keys):
    """Key pairs of the user who is logged in; in Nova they belong to no project."""

    features: ClassVar[frozenset[str]] = frozenset({"import_key"})

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._sent = Sent()
        self._told = Sent()

    async def page(self, marker: str | None, limit: int) -> Page[Key]:
        if marker is not None and not marker.startswith(AFTER):
            raise Invalid("no page gave this marker")
        last = (marker or "").removeprefix(AFTER)
        items = self.session.each("compute", "/os-keypairs", "keypairs")
        found = [_key(one(item, "keypair")) async for item in items]
        rest = sorted((key for key in found if key.id > last), key=lambda key: key.id)
        return Page(tuple(rest[:limit]), AFTER + rest[limit - 1].id if len(rest) > limit else None)

    async def get(self, id: str) -> Key:
        path = _path(id)
        told = await self.session.settled(lambda: self.session.get("compute", path), ids=(id,))
        return _key(one(told, "keypair"))

    async def create(self, new: NewKey) -> Key:
        """Make or import a key.

        The private key of an attempt whose answer was lost is nobody's: it is made anew.
        """
        if not 1 <= len(new.name) <= LONGEST_NAME or new.name != new.name.strip():
            raise Invalid(f"the name of a key has 1 to {LONGEST_NAME} letters, no space at its end")
        line = None if new.public_key is None else checked(new.public_key)
        # What is shared by all who sent this wish must not hold the secret.
        private: list[str] = []
        key = await once(
            self.session,
            "key",
            new.token,
            lambda: self._made_before(new, line),
            lambda: self._made(new, line, private),
        )
        return replace(key, private_key=private[0]) if private else key

    async def destroy(self, id: str) -> None:
        await self.session.delete("compute", _path(id))

    async def _made_before(self, new: NewKey, line: str | None) -> Key | None:
        """Return the key that the wish has made, unless nobody knows its private part."""
        if new.token not in self._sent:
            # So that what is found after a lost answer can only be what the wish made.
            if await self._found(new.name) is not None:
                raise Conflict(f"there is a key {new.name!r} already")
            return None
        found = await self._found(new.name)
        if found is None or new.token in self._told:
            return found
        if line is not None and found.public_key == line:
            return found
        await self.destroy(found.id)
        return None

    async def _made(self, new: NewKey, line: str | None, private: list[str]) -> Key:
        self._sent.add(new.token)
        asked = {"name": new.name} if line is None else {"name": new.name, "public_key": line}
        microversion = await version(self.session, MAKES_KEYS) if line is None else None
        try:
            answer = await self.session.post(
                "compute", "/os-keypairs", {"keypair": asked}, microversion=microversion
            )
        except OpenStackError as error:
            if error.status == 400:
                raise Invalid(error.message) from error
            raise
        told = one(answer, "keypair")
        if line is None:
            private.append(str(told.get("private_key") or ""))
        self._told.add(new.token)
        self.session.fresh(new.name)
        return await self.get(new.name)

    async def _found(self, name: str) -> Key | None:
        try:
            return _key(one(await self.session.get("compute", _path(name)), "keypair"))
        except NotFound:
            return None
        except OpenStackError as error:
            if error.status == 404:
                return None
            raise


def _path(name: str) -> str:
    return f"/os-keypairs/{quoted(name)}"


def _key(told: Mapping[str, Any]) -> Key:
    """Read a key pair, which a list tells less of than a single look.

    Source: https://docs.openstack.org/api-ref/compute/#list-keypairs
    """
    try:
        name: str = told["name"]
        return Key(
            id=name,
            name=name,
            fingerprint=told.get("fingerprint"),
            public_key=(told.get("public_key") or "").strip() or None,
            extra=told,
        )
    except (KeyError, AttributeError) as error:
        raise CloudError(f"Nova told of a key pair without {error}") from None
