"""Which store a provider names: `https://store.example:9000;region=here;addressing=path`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from nimbi.model.errors import Forbidden, Invalid
from nimbi.wire.destinations import is_of_machine

ADDRESSING: Mapping[str, bool | None] = {"auto": None, "path": True, "virtual": False}
KEYS = ("endpoint", "region", "addressing")

_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
_URL = re.compile(r"https?://[!-~]+\Z")


@dataclass(frozen=True)
class Place:
    """What a provider says; None where it says nothing."""

    endpoint: str | None = None
    region: str | None = None
    addressing: str | None = None

    @property
    def path_style(self) -> bool | None:
        return ADDRESSING[self.addressing or "auto"]


def place_of(provider: str | None) -> Place:
    """Return what a provider names: an endpoint, a region, or parts of both by `;`.

    `eu-central-1`, `store.example:9000`, `endpoint=http://10.0.0.1;region=x;addressing=virtual`.
    Raises Invalid.
    """
    told: dict[str, str] = {}
    for part in (provider or "").split(";"):
        name, is_named, value = part.strip().partition("=")
        if not is_named:
            name, value = _kind(name), name
        if not value:
            continue
        if name not in KEYS or name in told:
            raise Invalid(f"a provider of s3 has {', '.join(KEYS)}, each once, not {name[:40]!r}")
        told[name] = value
    place = Place(**told)
    if place.region is not None and _REGION.match(place.region) is None:
        raise Invalid(f"{place.region[:80]!r} is no region")
    if (place.addressing or "auto") not in ADDRESSING:
        raise Invalid(f"the addressing is one of {', '.join(ADDRESSING)}")
    if place.endpoint is None:
        return place
    return Place(checked_url(place.endpoint), place.region, place.addressing)


def urls_of(provider: str) -> tuple[str, ...]:
    """Return the endpoint that a provider names, if it names one. Raises Invalid."""
    place = place_of(provider)
    return (place.endpoint,) if place.endpoint else ()


def checked_url(text: str) -> str:
    """Return an endpoint as a URL, by TLS when it names no scheme. Raises Invalid."""
    url = (text if "://" in text else f"https://{text}").rstrip("/")
    try:
        parts = urlsplit(url)
        is_good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise Invalid("the endpoint is no URL of a store: https://HOST[:PORT]") from None
    if not is_good or _URL.match(url) is None or parts.username or parts.query or parts.fragment:
        raise Invalid("the endpoint is no URL of a store: https://HOST[:PORT]")
    return url


def check_allowed(url: str, allowed: tuple[str, ...] | None) -> None:
    """Raise Forbidden for an endpoint that strangers must not have this program call."""
    if allowed is not None:
        if url.lower() not in {checked_url(one).lower() for one in allowed}:
            raise Forbidden("this endpoint is not among those that a provider may name here")
        return
    if is_of_machine(url):
        raise Forbidden("this endpoint is none of a store")


def _kind(text: str) -> str:
    return "region" if _REGION.match(text) and "." not in text else "endpoint"
