"""Tags of servers, which Nova keeps as metadata; and the marks that this driver sets there."""

import base64
import binascii
import re
from collections.abc import Mapping

from nimbi.drivers.openstack.marks import digest
from nimbi.model.errors import Invalid

TOKEN = "nimbi:token"  # noqa: S105  the name of a mark
OWN = "nimbi:"

# Source: https://docs.openstack.org/api-ref/compute/#create-server (metadata)
KEY = re.compile(r"[A-Za-z0-9_:. -]{1,255}", re.ASCII)
LONGEST_VALUE = 255

# Keys that Nova would not take, in base64.
ENCODED = "nimbi:utf8:"


def metadata(tags: Mapping[str, str], token: str | None) -> dict[str, str]:
    """Return the metadata of a new server. Raises Invalid for what Nova would not keep as it is."""
    told = {stored(key): _checked(key, value) for key, value in tags.items()}
    return {**told, TOKEN: digest(token)}


def stored(key: str) -> str:
    """Return the key under which Nova keeps a tag. Raises Invalid for one that is too long."""
    if KEY.fullmatch(key) and not key.startswith(OWN):
        return key
    try:
        text = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    except UnicodeEncodeError:
        raise Invalid("the key of a tag is Unicode text") from None
    if not KEY.fullmatch(ENCODED + text):
        raise Invalid(f"the key {key[:100]!r} of a tag is too long")
    return ENCODED + text


def tags_in(told: Mapping[str, str]) -> dict[str, str]:
    """Return the tags in a server's metadata."""
    found = {}
    for key, value in told.items():
        if not key.startswith(OWN):
            found[key] = value
        elif key.startswith(ENCODED):
            found[_key(key)] = value
    return found


def mark_of(token: str | None) -> str:
    """Return the tag of Nova's own kind, by which lists are filtered, of what a token made."""
    return f"nimbi-{digest(token)}"


def _key(key: str) -> str:
    text = key.removeprefix(ENCODED)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return key


def _checked(key: str, value: str) -> str:
    if len(value) > LONGEST_VALUE:
        raise Invalid(f"the tag {key[:100]!r} has more than {LONGEST_VALUE} characters")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Invalid(f"the tag {key[:100]!r} is no Unicode text")
    return value
