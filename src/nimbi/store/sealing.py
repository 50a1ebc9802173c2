"""Envelope encryption: what is secret is sealed by a key of its own, and that by the operator's."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nimbi.store.errors import SealError, UnknownKey
from nimbi.store.keys import KeySource, parsed

KEY_BYTES = 32
# For AES-GCM; NIST SP 800-38D, 5.2.1.1. Each data key is used once, and wraps are few.
NONCE_BYTES = 12


class Sealed(msgspec.Struct, frozen=True):
    """What only the key `key_id` opens; safe to show to anybody."""

    key_id: str
    body: bytes


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """The body of Sealed: the data key, sealed by the operator's, and what it seals."""

    form: int
    key_nonce: bytes
    key: bytes
    nonce: bytes
    content: bytes


FORM = 1
ENCODER = msgspec.msgpack.Encoder()
DECODER = msgspec.msgpack.Decoder(Envelope)


@dataclass(frozen=True, repr=False)
class Keyring:
    """The operator's keys: the first seals, all of them open. Its repr shows no key."""

    keys: Mapping[str, bytes]
    source: KeySource | None = field(default=None)

    @classmethod
    async def from_settings(cls, source: KeySource) -> "Keyring":
        """Return the keys of a source. Raises SealError."""
        return cls(parsed(await source.text(), str(source)), source)

    @classmethod
    def of(cls, text: str) -> "Keyring":
        """Return the keys of a text, one `id:base64` a line. Raises SealError."""
        return cls(parsed(text, "the text"))

    def __post_init__(self) -> None:
        if not self.keys:
            raise SealError("a keyring needs at least one key")

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))

    def seal(self, plain: bytes, bound_to: str) -> Sealed:
        """Seal by the current key. `bound_to` names the record: no other record's name opens it."""
        key, key_nonce, nonce = (
            os.urandom(KEY_BYTES),
            os.urandom(NONCE_BYTES),
            os.urandom(NONCE_BYTES),
        )
        id = self.current
        wrapped = AESGCM(self.keys[id]).encrypt(key_nonce, key, _bound(id, bound_to))
        content = AESGCM(key).encrypt(nonce, plain, _bound(id, bound_to))
        return Sealed(id, ENCODER.encode(Envelope(FORM, key_nonce, wrapped, nonce, content)))

    def open(self, sealed: Sealed, bound_to: str) -> bytes:
        """Return what was sealed for this name.

        Raises UnknownKey, and SealError for what was changed or belongs to another name.
        """
        if (operators := self.keys.get(sealed.key_id)) is None:
            raise UnknownKey(f"{bound_to} is sealed by key {sealed.key_id!r}, which is not given")
        bound = _bound(sealed.key_id, bound_to)
        try:
            envelope = DECODER.decode(sealed.body)
            if envelope.form != FORM:
                raise ValueError  # noqa: TRY301
            key = AESGCM(operators).decrypt(envelope.key_nonce, envelope.key, bound)
            return AESGCM(key).decrypt(envelope.nonce, envelope.content, bound)
        except (InvalidTag, ValueError, msgspec.DecodeError):
            raise SealError(
                f"{bound_to} cannot be opened: key {sealed.key_id!r} did not seal it, or "
                "what is stored was changed"
            ) from None

    def resealed(self, sealed: Sealed, bound_to: str) -> Sealed:
        """Return the same, sealed anew by the current key. Raises what `open` raises."""
        return self.seal(self.open(sealed, bound_to), bound_to)

    async def refreshed(self) -> "Keyring":
        """Return the keys as their source gives them now: after a rotation, without a new start."""
        return self if self.source is None else await Keyring.from_settings(self.source)

    async def refresh(self) -> bool:
        """Take the keys as their source gives them now, for all who hold this very keyring.

        Returns whether they are others than before. Raises SealError, and keeps what it has then.
        """
        keys = (await self.refreshed()).keys
        is_other = list(keys.items()) != list(self.keys.items())
        if is_other:
            object.__setattr__(self, "keys", keys)
        return is_other

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.keys)})"


def _bound(key_id: str, bound_to: str) -> bytes:
    return f"nimbi\0{key_id}\0{bound_to}".encode("utf-8", "surrogatepass")
