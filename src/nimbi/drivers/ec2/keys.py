"""Keys: AWS knows a key pair by its name, and so do instances."""

import re
from typing import ClassVar

from msgspec.structs import replace

from nimbi.driver.compute import Keys
from nimbi.drivers.ec2.pages import sliced
from nimbi.drivers.ec2.query import extra, filters, items, text
from nimbi.drivers.ec2.session import Element, OfSession, Session
from nimbi.drivers.ec2.tags import by_token, specification
from nimbi.drivers.ec2.wishes import Sent, once
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.keys import Key, NewKey
from nimbi.model.page import Page
from nimbi.model.public_keys import checked

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html
NAME = re.compile(r"[!-~]([ -~]{0,253}[!-~])?", re.ASCII)

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html
IMPORTED = frozenset({"ssh-ed25519", "ssh-rsa"})


class Ec2Keys(OfSession, Keys):
    """Key pairs. A new one is of RSA, since Windows takes no other to tell its first password."""

    features: ClassVar[frozenset[str]] = frozenset({"import_key"})

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._told = Sent()

    async def page(self, marker: str | None, limit: int) -> Page[Key]:
        root = await self.session.ec2("DescribeKeyPairs", {"IncludePublicKey": True})
        keys = map(_key, items(root, "keySet/item"))
        return sliced(sorted(keys, key=lambda key: key.id), marker, limit)

    async def get(self, id: str) -> Key:
        asked = {"KeyName": [_known(id)], "IncludePublicKey": True}
        root = await self.session.settled(
            lambda: self.session.ec2("DescribeKeyPairs", asked), codes={"InvalidKeyPair.NotFound"}
        )
        for item in items(root, "keySet/item"):
            return _key(item)
        raise NotFound(f"there is no key {id!r}")

    async def create(self, new: NewKey) -> Key:
        """Make or import a key.

        The private key of an attempt whose answer was lost is nobody's: it is made anew.
        """
        if not NAME.fullmatch(new.name):
            raise Invalid("the name of a key has 1 to 255 letters of ASCII, no space at its ends")
        if new.public_key is not None:
            public_key = checked(new.public_key, IMPORTED).encode()
            return await once(
                self.session,
                "key",
                new.token,
                lambda: self._made_by(new.token),
                lambda: self._imported(new, public_key),
            )
        # What is shared by all who sent this wish must not hold the secret.
        private: list[str] = []
        key = await once(
            self.session,
            "key",
            new.token,
            lambda: self._told_before(new),
            lambda: self._created(new, private),
        )
        return replace(key, private_key=private[0]) if private else key

    async def destroy(self, id: str) -> None:
        # DeleteKeyPair is content with a name that nothing has.
        await self.get(id)
        await self.session.ec2("DeleteKeyPair", {"KeyName": id}, changes=True)

    async def _imported(self, new: NewKey, public_key: bytes) -> Key:
        asked = {
            "KeyName": new.name,
            "PublicKeyMaterial": public_key,
            "TagSpecification": specification("key-pair", new.token),
        }
        await self.session.ec2("ImportKeyPair", asked, changes=True)
        self.session.fresh(new.name)
        return await self.get(new.name)

    async def _created(self, new: NewKey, private: list[str]) -> Key:
        asked = {
            "KeyName": new.name,
            "TagSpecification": specification("key-pair", new.token),
        }
        root = await self.session.ec2("CreateKeyPair", asked, changes=True)
        self.session.fresh(new.name)
        key = await self.get(new.name)
        private.append(text(root, "keyMaterial") or "")
        self._told.add(new.token)
        return key

    async def _told_before(self, new: NewKey) -> Key | None:
        """Return the key that the token has made, if its private part was told then."""
        found = await self._made_by(new.token)
        if found is None or new.token in self._told:
            return found
        await self.session.ec2("DeleteKeyPair", {"KeyName": found.id}, changes=True)
        return None

    async def _made_by(self, token: str | None) -> Key | None:
        asked = {"Filter": filters(by_token(token)), "IncludePublicKey": True}
        root = await self.session.ec2("DescribeKeyPairs", asked)
        return next((_key(item) for item in items(root, "keySet/item")), None)


def _known(id: str) -> str:
    if NAME.fullmatch(id):
        return id
    raise NotFound(f"there is no key {id[:100]!r}")


def _key(item: Element) -> Key:
    """Read a KeyPairInfo.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_KeyPairInfo.html
    """
    name = text(item, "keyName") or ""
    return Key(
        id=name,
        name=name,
        fingerprint=text(item, "keyFingerprint"),
        public_key=(text(item, "publicKey") or "").strip() or None,
        extra=extra(item),
    )
