"""Which services a login has, and where."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import msgspec

# The types under which the catalogue lists a service, the best first.
# Source: https://service-types.openstack.org
SERVICES: Mapping[str, tuple[str, ...]] = {
    "identity": ("identity", "identityv3"),
    "compute": ("compute", "computev21"),
    "image": ("image", "imagev2"),
    "volume": ("block-storage", "volumev3", "block-store", "volume", "volumev2"),
    "network": ("network",),
    "load-balancer": ("load-balancer",),
    "object-store": ("object-store",),
    "placement": ("placement",),
    "metric": ("metric",),
}

# Where there is one version in the whole world, a URL without one is completed by it.
ONLY_VERSION: Mapping[str, str] = {
    "identity": "v3",
    "image": "v2",
    "network": "v2.0",
    "load-balancer": "v2",
    "metric": "v1",
}

# Of services with several, the best first.
VERSIONS: Mapping[str, tuple[str, ...]] = {"compute": ("v2.1", "v2.0"), "volume": ("v3", "v2")}

Interface = Literal["public", "internal", "admin"]

_VERSION = re.compile(r"v\d+(\.\d+)?\Z")


class Endpoint(msgspec.Struct, frozen=True):
    """One endpoint of Keystone v3's catalogue."""

    url: str
    interface: str = "public"
    region_id: str | None = None
    region: str | None = None

    @property
    def place(self) -> str:
        """The region it is in; "" when the catalogue names none."""
        return self.region_id or self.region or ""


class Service(msgspec.Struct, frozen=True):
    """One service of Keystone v3's catalogue."""

    type: str
    endpoints: tuple[Endpoint, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Catalogue:
    """What a token brings along."""

    services: tuple[Service, ...] = ()

    def regions(self, interface: Interface = "public") -> tuple[str, ...]:
        """Return the regions that have a service known here, in order."""
        return tuple(
            sorted(
                {
                    endpoint.place
                    for name in SERVICES
                    if name != "identity"
                    for _, endpoint in self._of(name, interface)
                    if endpoint.place
                }
            )
        )

    def home(self, interface: Interface = "public") -> str | None:
        """Return the first region that runs machines, or else stores anything."""
        for name in ("compute", "object-store"):
            places = sorted({endpoint.place for _, endpoint in self._of(name, interface)})
            if any(places):
                return next(place for place in places if place)
        return next(iter(self.regions(interface)), None)

    def urls(self, region: str | None, interface: Interface = "public") -> dict[str, str]:
        """Return the URL of each service of a region, as the catalogue has it."""
        found: dict[str, str] = {}
        for name in SERVICES:
            for _, endpoint in self._of(name, interface):
                if endpoint.place in (region or "", "") and is_url(endpoint.url):
                    found.setdefault(name, endpoint.url.rstrip("/"))
        return found

    def _of(self, name: str, interface: Interface) -> Iterable[tuple[str, Endpoint]]:
        for type in SERVICES[name]:
            for service in self.services:
                if service.type == type:
                    for endpoint in service.endpoints:
                        if endpoint.interface in (interface, f"{interface}URL"):
                            yield type, endpoint


def is_url(text: str) -> bool:
    """Return whether a text of a catalogue is the URL of a service."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def completed(service: str, url: str) -> str:
    """Return the root of a service's version; the URL itself when its versions must be asked for.

    `completed("network", "http://h:9696")` is `http://h:9696/v2.0`.
    """
    only = ONLY_VERSION.get(service)
    if only is None or has_version(url):
        return url
    return f"{url}/{only}"


def has_version(url: str) -> bool:
    """Return whether a URL ends with a version, perhaps with a project behind it."""
    parts = urlsplit(url).path.strip("/").split("/")
    return any(_VERSION.match(part) for part in parts[-2:])


def split_version(url: str) -> tuple[str, str, str]:
    """Return what stands before the version of a URL, the version, and what comes behind it.

    `("http://h:8776", "v3", "/PROJECT")`; the version is "" when there is none.
    """
    head, _, last = url.rpartition("/")
    if _VERSION.match(last):
        return head, last, ""
    front, _, middle = head.rpartition("/")
    if _VERSION.match(middle):
        return front, middle, f"/{last}"
    return url, "", ""
