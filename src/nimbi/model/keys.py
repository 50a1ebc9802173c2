"""Keys: what opens a login to an instance."""

from enum import StrEnum
from typing import Annotated

from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class KeyKind(StrEnum):
    """Whether a key pair or a password opens the login."""

    KEY = "key"
    PASSWORD = "password"  # noqa: S105  the word itself


class Key(Resource, frozen=True, kw_only=True):
    """A key pair, or a user and password. `private_key` (PEM) is told once, by create."""

    name: str
    kind: KeyKind = KeyKind.KEY
    fingerprint: str | None = None
    public_key: str | None = None
    private_key: str | None = None
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Key(id={self.id!r}, fingerprint={self.fingerprint!r})"


class NewKey(NewResource, frozen=True, kw_only=True):
    """Make a key pair, or import a public key (one line in OpenSSH's form)."""

    name: str
    public_key: Annotated[
        str | None, Feature("import_key", "An existing public key to import.")
    ] = None
