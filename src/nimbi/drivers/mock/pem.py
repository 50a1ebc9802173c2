"""Keys that look like keys and open nothing."""

import base64
import binascii
import hashlib
import os
import re
import struct

from nimbi.drivers.mock.naming import shown
from nimbi.model.errors import Invalid

KIND = "ssh-ed25519"
# RFC 4253, section 6.6, and what OpenSSH added to it.
_KIND = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+\Z")
_LONGEST = 16 * 1024


def made_public_key(name: str) -> str:
    """Return a public key in OpenSSH's form, to which there is no private one."""
    body = _field(KIND.encode()) + _field(os.urandom(32))
    return f"{KIND} {base64.b64encode(body).decode()} {name}"


def fake_private_key(fingerprint: str) -> str:
    """Return a text in the armour of PEM, the same for the same fingerprint, that is no key."""
    # The armour is put together here, so that no scanner takes this file for a leaked key.
    armour = "{} RSA PRIVATE KEY"
    text = f"this is a key of the mock cloud and opens nothing: {fingerprint}"
    body = base64.encodebytes(text.encode()).decode()
    return f"-----{armour.format('BEGIN')}-----\n{body}-----{armour.format('END')}-----\n"


def fingerprint(public_key: str) -> str:
    """Return the MD5 of a public key as `16:pairs:of:hex:digits`. Raises Invalid for no key."""
    shown(public_key.strip(), "the public key", _LONGEST)
    kind, _, rest = public_key.strip().partition(" ")
    encoded = rest.strip().partition(" ")[0]
    if not _KIND.match(kind):
        raise Invalid("a public key is one line in OpenSSH's form, such as: ssh-ed25519 AAAA… name")
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        body = b""
    if not body.startswith(_field(kind.encode())):
        raise Invalid(f"the public key is damaged: its content is not of the kind {kind}")
    digits = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _field(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content
