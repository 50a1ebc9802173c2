"""Names that users choose, and the ids made of them."""

import fnmatch
import hashlib
import re
import unicodedata

from nimbi.model.errors import Invalid

LONGEST = 255
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


def checked(text: str, what: str, longest: int = LONGEST) -> str:
    """Return the text. Raises Invalid when it is empty, too long, or holds what can't be shown."""
    if not text:
        raise Invalid(f"{what} must not be empty")
    return shown(text, what, longest)


def shown(text: str, what: str, longest: int = LONGEST) -> str:
    """Return the text, perhaps empty.

    Control characters and lone surrogates have no form in XML, headers or UTF-8: Invalid.
    """
    if len(text) > longest:
        raise Invalid(f"{what} must have at most {longest} characters, not {len(text)}")
    if not text.isprintable() and any(_is_control(letter) for letter in text):
        raise Invalid(f"{what} holds a control character")
    return text


def is_plain(text: str) -> bool:
    """Say whether a name can serve as an id: letters, digits, dots, dashes and underscores."""
    return _PLAIN.match(text) is not None


def named_like(wish: str) -> re.Pattern[str]:
    """Return what matches names like the wish, in which `*` is any text and `?` any character."""
    # Of what shells know, `[` alone is left; fnmatch's patterns never take long to match.
    return re.compile(fnmatch.translate(wish.replace("[", "[[]")))


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in {"Cc", "Cs"} or letter in "\ufffe\uffff"


def mark(token: str | None) -> str | None:
    """Return what shows which wish made a thing, and not the token itself."""
    return token and hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:32]
