"""Who is logged in: keys given by the caller, or those of this very user."""

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from nimbi.driver.interface import Place
from nimbi.drivers.ec2.settings import Settings
from nimbi.model.errors import Unauthorized
from nimbi.wire.sigv4 import Keys

if TYPE_CHECKING:
    from nimbi.drivers.ec2.backend import Backend


class AccessKey(msgspec.Struct, frozen=True):
    """An access key as HTTP Basic carries it: its id, and its secret.

    A session token has a field of its own; by Basic it follows the secret after a colon, which no
    secret holds.
    """

    user: str
    password: str
    token: str | None = None

    def __repr__(self) -> str:
        return "AccessKey(…)"


class OwnLogin(msgspec.Struct, frozen=True, tag="own"):
    """The login that AWS's own tools would take on this machine, for this user."""

    profile: str | None = None


class Source(Protocol):
    """Gives keys that are good for some time. `id` tells logins apart, and is no secret."""

    id: str

    async def keys(self) -> Keys:
        """Return keys to sign with. Raises Unauthorized when there are none."""
        ...

    def refuse(self, keys: Keys) -> bool:
        """Take note that AWS does not accept keys; return whether others may be had."""
        ...


class NoKeys:
    """The login of one who gave none."""

    id = ""

    async def keys(self) -> Keys:
        raise Unauthorized("AWS needs an access key and its secret")

    def refuse(self, keys: Keys) -> bool:
        return False


class GivenKeys:
    """Keys that the caller gave, and that are as good as they are."""

    def __init__(self, login: AccessKey, salt: bytes = b"") -> None:
        """Make `id` another one for another secret, in a way that only `salt` can follow.

        What is kept for those who know the secret is shown to nobody else.
        """
        secret, _, token = login.password.partition(":")
        self._keys = Keys(login.user, secret, login.token or token or None)
        told = "\0".join((login.user, login.password, login.token or ""))
        self.id = blake2b(told.encode(errors="surrogatepass"), digest_size=16, key=salt).hexdigest()

    async def keys(self) -> Keys:
        return self._keys

    def refuse(self, keys: Keys) -> bool:
        return False


def own_login(settings: Settings, _place: Place) -> OwnLogin:
    """Return the login of this very user, which is looked for at its first use."""
    return OwnLogin(settings.profile)


def source_of(credentials: Any, backend: "Backend") -> Source:
    """Return the source of keys for the credentials of an account."""
    if isinstance(credentials, OwnLogin):
        return backend.own_source(credentials.profile)
    if isinstance(credentials, AccessKey) and credentials.user and credentials.password:
        return GivenKeys(credentials, backend.salt)
    return NoKeys()
