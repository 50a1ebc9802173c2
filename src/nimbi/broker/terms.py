"""What can be an account: its name, its tags, its provider."""

import re
from collections.abc import Mapping

from nimbi.gateway.registry import AnyDriver
from nimbi.model.accounts import NAME, RESERVED
from nimbi.model.errors import Invalid

LONGEST_PROVIDER = 2000
MOST_TAGS = 50
LONGEST_TAG = 256

_NAME = re.compile(NAME)


def check_name(id: str) -> None:
    """Raise Invalid for what can be no account's name."""
    if _NAME.fullmatch(id) is None or id in RESERVED:
        raise Invalid(
            "an account's name has 1 to 63 of a-z, 0-9, dot, dash and underscore, begins and ends "
            f"with a letter or digit, and is none of {', '.join(sorted(RESERVED))}"
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise Invalid for tags that are too many, too long, or no text."""
    texts = [text for pair in tags.items() for text in pair]
    is_odd = any(len(text) > LONGEST_TAG or not text.isprintable() for text in texts)
    if len(tags) > MOST_TAGS or is_odd or "" in tags:
        raise Invalid(
            f"an account has up to {MOST_TAGS} tags of {LONGEST_TAG} printable characters each"
        )


def check_provider(provider: str | None) -> None:
    """Raise Invalid for what can be no provider, whatever the driver."""
    if provider is not None and not (
        1 <= len(provider) <= LONGEST_PROVIDER and provider.isprintable()
    ):
        raise Invalid(f"a provider is a line of 1 to {LONGEST_PROVIDER} printable characters")


def check_same_place(driver: AnyDriver, old: str | None, new: str | None) -> None:
    """Raise Invalid when a stored login would go elsewhere than it was given for.

    Who may change an account could have it sent to a machine of their own otherwise.
    """
    known = set(driver.urls_of(old) if old else ())
    if not set(driver.urls_of(new) if new else ()) <= known:
        raise Invalid("with another address the credentials have to be told again")
