"""Public keys as OpenSSH writes them, in one line."""

import base64
import binascii
from collections.abc import Container, Mapping

from nimbi.model.errors import Invalid

# Kinds of keys and how many parts follow the name in each.
# RFC 8709 (ed25519), RFC 4253 section 6.6 (RSA), RFC 5656 section 3.1 (ECDSA).
KINDS: Mapping[str, int] = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}
ED25519, ED25519_BYTES = "ssh-ed25519", 32
LONGEST = 16 * 1024


def checked(line: str, kinds: Container[str] = KINDS) -> str:
    """Return a public key of one of these kinds, in one line. Raises Invalid."""
    words = line.strip().split(maxsplit=2)
    if len(line) > LONGEST or len(line.strip().splitlines()) != 1 or len(words) < 2:
        raise Invalid("a public key is one line, such as: ssh-ed25519 AAAA… name")
    if words[0] not in KINDS or words[0] not in kinds:
        known = ", ".join(kind for kind in KINDS if kind in kinds)
        raise Invalid(f"a public key begins with one of {known}")
    parts = _parts(words[1])
    named = bool(parts) and parts[0] == words[0].encode()
    if not named or len(parts) != 1 + KINDS[words[0]] or not all(parts):
        raise Invalid(f"the text after {words[0]} is no such key")
    if words[0] == ED25519 and len(parts[1]) != ED25519_BYTES:
        raise Invalid(f"a key of ed25519 has {ED25519_BYTES} bytes")
    return " ".join(words)


def _parts(text: str) -> list[bytes]:
    """Return the strings in a key: each is its length in four bytes, then as many bytes."""
    try:
        rest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return []
    parts: list[bytes] = []
    while rest:
        end = 4 + int.from_bytes(rest[:4])
        if len(rest) < end:
            return []
        parts.append(rest[4:end])
        rest = rest[end:]
    return parts
