"""Markers of pages, which are of one list each."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2s

from nimbi.model.errors import Invalid

_SEAL_BYTES = 8


def sealed(last: str, scope: str) -> str:
    """Return a marker for the last name of a page.

    No secret is in it: whoever makes one up learns no more than the list tells anyway.
    """
    return urlsafe_b64encode(_seal(last, scope) + last.encode()).decode()


def unsealed(marker: str, scope: str) -> str:
    """Return the last name of a page. Raises Invalid for a marker that this list never gave."""
    try:
        raw = urlsafe_b64decode(marker.encode("ascii"))
        last = raw[_SEAL_BYTES:].decode()
    except ValueError:
        raise Invalid("the marker of the page is not one that this list gave") from None
    if raw[:_SEAL_BYTES] != _seal(last, scope):
        raise Invalid("the marker of the page is not one that this list gave")
    return last


def _seal(last: str, scope: str) -> bytes:
    text = f"{scope}\0{last}".encode(errors="surrogatepass")
    return blake2s(text, digest_size=_SEAL_BYTES).digest()
