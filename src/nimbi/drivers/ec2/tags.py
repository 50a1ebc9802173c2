"""Tags that this driver sets: the user's name for a thing, and the token of the wish for it."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from nimbi.model.errors import Invalid

NAME, TOKEN = "Name", "nimbi:token"

# Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
# Control characters, surrogates and what is no character: XML carries none of these.
NOT_KEPT = frozenset({"Cc", "Cs", "Cn"})
LONGEST_KEY, LONGEST_VALUE = 128, 256


def digest(token: str | None) -> str:
    """Return a token in letters and digits, as every API takes it: 32 hexadecimal digits."""
    return hashlib.sha256((token or "").encode("utf-8", "surrogatepass")).hexdigest()[:32]


def checked(value: str, what: str, longest: int = LONGEST_VALUE) -> str:
    """Return the text of a tag. Raises Invalid for what the cloud would not keep as it is."""
    if len(value) > longest:
        raise Invalid(f"{what} has more than {longest} characters")
    if any(unicodedata.category(letter) in NOT_KEPT for letter in value):
        raise Invalid(f"{what} has control characters, or such that are none")
    return value


def specification(
    kinds: str | Sequence[str],
    token: str | None,
    name: str | None = None,
    more: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the `TagSpecification` of one thing of each kind, such as `vpc`.

    Raises Invalid for a name or a tag that the cloud would not keep as it is.
    """
    wanted = {
        checked(key, "the key of a tag", LONGEST_KEY): value for key, value in (more or {}).items()
    }
    if name:
        wanted[NAME] = name
    tags = [
        {"Key": key, "Value": checked(value, f"the tag {key!r}")} for key, value in wanted.items()
    ]
    tags.append({"Key": TOKEN, "Value": digest(token)})
    of_kinds = (kinds,) if isinstance(kinds, str) else kinds
    return [{"ResourceType": kind, "Tag": tags} for kind in of_kinds]


def by_token(token: str | None) -> dict[str, str]:
    """Return the filter that finds what a token has made."""
    return {f"tag:{TOKEN}": digest(token)}
