"""Which Keystone and region a provider names: `https://cloud.example:5000/v3;RegionOne`."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from nimbi.model.errors import Forbidden, Invalid
from nimbi.wire.destinations import is_of_machine

_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}\Z")
_URL = re.compile(r"https?://[!-~]+\Z")


@dataclass(frozen=True)
class Where:
    """What a provider says; None where it says nothing."""

    auth_url: str | None = None
    region: str | None = None


def where_of(provider: str | None) -> Where:
    """Return what a provider names: a Keystone, a region, or both by `;`. Raises Invalid."""
    url: str | None = None
    region: str | None = None
    for part in (provider or "").split(";"):
        text = part.strip().removeprefix("region=")
        if "://" in text and url is None:
            url = checked_url(text)
        elif text and region is None and _REGION.match(text):
            region = text
        elif text:
            raise Invalid("a provider is the URL of a Keystone and a region: http://h:5000/v3;R1")
    return Where(url, region)


def urls_of(provider: str) -> tuple[str, ...]:
    """Return the Keystone that a provider names, if it names one. Raises Invalid."""
    where = where_of(provider)
    return (where.auth_url,) if where.auth_url else ()


def checked_url(text: str, *, missing: bool = False) -> str:
    """Return the URL of a service; with `missing`, it may be none. Raises Invalid."""
    url = text.rstrip("/")
    if missing and not url:
        return url
    try:
        parts = urlsplit(url)
        is_good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise Invalid("the provider is no URL of a Keystone: https://HOST:5000/v3") from None
    if not is_good or _URL.match(url) is None or parts.username or parts.query or parts.fragment:
        raise Invalid("the provider is no URL of a Keystone: https://HOST:5000/v3")
    return url


def check_allowed(url: str, allowed: tuple[str, ...] | None) -> None:
    """Raise Forbidden for a Keystone that strangers must not have this program call."""
    if allowed is not None:
        if bare(url) not in {bare(checked_url(one)) for one in allowed}:
            raise Forbidden("this Keystone is not among those that a provider may name here")
    elif is_of_machine(url):
        raise Forbidden("this is no Keystone's address")


def bare(url: str) -> str:
    """Return the URL of a Keystone without a version, to compare it."""
    return re.sub(r"/v[23](\.0)?$", "", url.lower())
