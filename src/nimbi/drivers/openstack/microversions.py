"""Versions of a service: its root, and the newest microversion that both sides know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from nimbi.drivers.openstack.catalogue import VERSIONS, split_version
from nimbi.wire.http import Answer

# The newest that is known here, by service.
NEWEST: Mapping[str, tuple[int, int]] = {
    "compute": (2, 93),
    "volume": (3, 70),
    "placement": (1, 39),
}

# What services call themselves in `OpenStack-API-Version`.
TYPES: Mapping[str, str] = {"compute": "compute", "volume": "volume", "placement": "placement"}

# Nova heeds that header since 2.27, and an own one since ever.
NOVA_HEADER, NOVA_HEADER_UNTIL = "X-OpenStack-Nova-API-Version", (2, 27)


class Link(msgspec.Struct, frozen=True):
    """Where a version is, when `rel` is `self`."""

    href: str = ""
    rel: str = ""


class Version(msgspec.Struct, frozen=True):
    """One version of a service's own document. `version` is the newest microversion."""

    id: str
    status: str = ""
    version: str | None = None
    max_version: str | None = None
    min_version: str | None = None
    links: tuple[Link, ...] = ()

    @property
    def newest(self) -> tuple[int, int] | None:
        return number(self.version or self.max_version)


class _Values(msgspec.Struct, frozen=True):
    values: tuple[Version, ...] = ()


class _Document(msgspec.Struct, frozen=True):
    """What roots of services answer, in each of the shapes that there are."""

    versions: tuple[Version, ...] | _Values = ()
    version: Version | None = None


@dataclass(frozen=True)
class Root:
    """Where requests to a service go, and the range of microversions; None when it has none."""

    url: str
    oldest: tuple[int, int] | None = None
    newest: tuple[int, int] | None = None

    def best(self, service: str) -> str | None:
        """Return the newest microversion that both sides know, such as `"2.93"`."""
        known = NEWEST.get(service)
        if known is None or self.newest is None:
            return None
        best = min(known, self.newest)
        return f"{best[0]}.{best[1]}"

    def knows(self, microversion: str) -> bool:
        """Return whether the service understands a microversion."""
        asked = number(microversion)
        if asked is None or self.newest is None:
            return False
        return (self.oldest or (asked[0], 0)) <= asked <= self.newest


def number(text: str | None) -> tuple[int, int] | None:
    """Return `"2.93"` as numbers that can be compared; None for what is no microversion."""
    major, _, minor = (text or "").partition(".")
    if major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit():
        return int(major), int(minor)
    return None


def headers(service: str, microversion: str) -> dict[str, str]:
    """Return how a request asks for a microversion."""
    told = {"OpenStack-API-Version": f"{TYPES[service]} {microversion}"}
    if service == "compute" and (number(microversion) or (0, 0)) < NOVA_HEADER_UNTIL:
        told[NOVA_HEADER] = microversion
    return told


def versions_in(answer: Answer) -> tuple[Version, ...]:
    """Return the versions that a root tells of, 300 or not; none when it tells nothing."""
    if answer.status not in (200, 203, 300):
        return ()
    try:
        document = msgspec.json.decode(answer.body, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()
    if document.version is not None:
        return (document.version,)
    found: Any = document.versions
    return found.values if isinstance(found, _Values) else found


def chosen(service: str, url: str, versions: tuple[Version, ...]) -> Root | None:
    """Return the root of the version to speak, given what the service tells of at or above `url`.

    That of the URL if it is among them, else the best one known here. Links count by their path
    only: behind a proxy, services do not know how they are called.
    """
    before, own, behind = split_version(url)
    usable = {v.id.rstrip("/"): v for v in versions if v.status.upper() not in ("UNSUPPORTED",)}
    for wanted in (own, *VERSIONS.get(service, ())):
        for id, version in usable.items():
            if wanted and (id == wanted or id == f"{wanted}.0" or f"{id}.0" == wanted):
                root = url if wanted == own else _linked(before, version, wanted) + behind
                newest = version.newest
                return Root(root, number(version.min_version), newest)
    return None


def _linked(before: str, version: Version, wanted: str) -> str:
    href = next((link.href for link in version.links if link.rel == "self"), "")
    try:
        path = urlsplit(href).path.strip("/")
    except ValueError:
        path = ""
    base = urlsplit(before)
    if split_version(f"/{path}")[1]:
        # A proxy may put a path of its own before that of the service.
        own = base.path.strip("/")
        if own and not path.startswith(f"{own}/"):
            path = f"{own}/{path.rpartition('/')[2]}"
        return f"{base.scheme}://{base.netloc}/{path}"
    return f"{before}/{wanted}"
