"""Key pairs for logging in to guests: made here or imported; private halves are never kept."""

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from nimbi.qemu.errors import Conflict, Invalid, NotFound
from nimbi.qemu.guests.spec import MAX_NAME, printable
from nimbi.qemu.host.files import create_once, private_directory

RSA_BITS = 3072
MIN_RSA_BITS = 2048
RSA_EXPONENT = 65537
MAX_KEY_CHARACTERS = 16 * 2**10
Kind = Literal["ed25519", "rsa"]


@dataclass(frozen=True, kw_only=True)
class Key:
    """The public half of a key pair. `fingerprint` reads as ssh-keygen prints it: "SHA256:…"."""

    name: str
    public_key: str
    fingerprint: str
    created_at: datetime
    token_digest: str | None = None


class KeyStore:
    """Public keys by name, a file each. Any printable text is a name, for no file is called so."""

    def __init__(self, root: Path) -> None:
        """Keep keys below `root`, made when it does not exist."""
        self._root = private_directory(root)

    def all(self) -> list[Key]:
        """Return all keys, sorted by name."""
        found = []
        for file in self._root.glob("*.json"):
            # One that is removed meanwhile is not there.
            with suppress(FileNotFoundError):
                found.append(_read(file))
        return sorted(found, key=lambda key: key.name)

    def get(self, name: str) -> Key:
        """Return one key. Raises NotFound."""
        try:
            return _read(self._file(name))
        except FileNotFoundError:
            raise NotFound(f"there is no key {name!r}") from None

    def create(
        self,
        name: str,
        kind: Kind = "ed25519",
        *,
        token: str | None = None,
        seed: bytes | None = None,
    ) -> tuple[Key, str]:
        """Make a key pair, keep its public half, and return that with the private one.

        The private key is in OpenSSH's PEM form, without a passphrase; nobody can get it again,
        save by the same `seed` (32 secret bytes, for ed25519 only), which makes the same pair in a
        text that differs in its check number. The same `token` may be used
        again for the same pair. Raises Invalid for a bad name, Conflict for one that is taken.
        """
        public, private = generate(kind, seed)
        return self.add(name, public, token=token), private

    def add(self, name: str, public_key: str, *, token: str | None = None) -> Key:
        """Keep a public key in OpenSSH form under a name. Raises Invalid, Conflict.

        The same key with the same `token` again is the same wish.
        """
        if not 0 < len(name) <= MAX_NAME or not printable(name):
            raise Invalid(f"a key's name has 1 to {MAX_NAME} printable characters")
        line = normalized(public_key)
        key = Key(
            name=name,
            public_key=line,
            fingerprint=fingerprint(line),
            created_at=datetime.now(UTC).replace(microsecond=0),
            token_digest=None if token is None else _digest(token),
        )
        fields = {**asdict(key), "created_at": key.created_at.isoformat()}
        if create_once(self._file(name), fields):
            return key
        there = self.get(name)
        if token is None or (there.token_digest, there.public_key) != (key.token_digest, line):
            raise Conflict(f"there is a key {name!r} already")
        return there

    def remove(self, name: str) -> None:
        """Forget a key. Guests that have it keep it. Raises NotFound."""
        try:
            self._file(name).unlink()
        except FileNotFoundError:
            raise NotFound(f"there is no key {name!r}") from None

    def _file(self, name: str) -> Path:
        return self._root / f"{_digest(name)}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(file: Path) -> Key:
    fields = json.loads(file.read_bytes())
    return Key(**{**fields, "created_at": datetime.fromisoformat(fields["created_at"])})


def generate(kind: Kind, seed: bytes | None = None) -> tuple[str, str]:
    """Return a new key pair as OpenSSH writes it: the public line and the private PEM text."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    if kind == "rsa":
        private = rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)
    else:
        made = ed25519.Ed25519PrivateKey
        private = made.from_private_bytes(seed) if seed else made.generate()
    open_ssh = form.PrivateFormat.OpenSSH
    pem = private.private_bytes(form.Encoding.PEM, open_ssh, form.NoEncryption())
    line = private.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return line.decode(), pem.decode()


def normalized(public_key: str) -> str:
    """Return type and data of a public key in OpenSSH form, without its comment.

    Raises Invalid for anything else, for DSA, and for RSA keys that are too short to be safe.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, rsa

    text = public_key.strip()
    words = text.split()
    if len(words) < 2 or len(text) > MAX_KEY_CHARACTERS or "\n" in text or "\r" in text:
        raise Invalid("a public key is one line of OpenSSH's form: type, data, comment")
    line = " ".join(words[:2])
    try:
        loaded = serialization.load_ssh_public_key(line.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid(f"not an OpenSSH public key of a known kind: {text[:20]!r}…") from None
    short = isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size < MIN_RSA_BITS
    if short or isinstance(loaded, dsa.DSAPublicKey):
        raise Invalid(f"DSA keys, and RSA keys below {MIN_RSA_BITS} bits, are not safe")
    return line


def fingerprint(line: str) -> str:
    """Return the SHA-256 fingerprint of a public key as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
