"""The proxies that the environment names, as AWS's own tools read them."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies_environment, proxy_bypass

# Where EC2 has the metadata service, and EKS the one for roles.
METADATA_IPV6 = ip_network("fd00:ec2::/32")


@dataclass(frozen=True)
class Proxy:
    """Where to send requests, and the proxy's own login."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def proxies_from_environment() -> Callable[[str, str, int], Proxy | None]:
    """Return a function of scheme, host and port that gives the proxy for them, or None.

    The environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case) is read once,
    here. A proxy named without a scheme is one of HTTP. Services that a cloud has on each machine
    are never asked through one: it would be told of another machine, and see the keys.
    """
    found = getproxies_environment()
    proxies = {scheme: _proxy(url) for scheme, url in found.items() if scheme != "no"}
    if not proxies:
        return lambda _scheme, _host, _port: None

    def proxy_of(scheme: str, host: str, port: int) -> Proxy | None:
        if _is_of_this_machine(host) or proxy_bypass(f"{host}:{port}", found):
            return None
        return proxies.get(scheme) or proxies.get("all")

    return proxy_of


def _is_of_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_link_local or address in METADATA_IPV6


def _proxy(url: str) -> Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    login, _, place = parts.netloc.rpartition("@")
    headers = {}
    if login:
        encoded = b64encode(unquote(login).encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {encoded}"
    return Proxy(urlunsplit((parts.scheme, place, parts.path, "", "")), headers)
