"""Which cloud a provider names: `ec2=HOST[:PORT];s3=HOST[:PORT]`, as in Deltacloud."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from nimbi.model.errors import Forbidden, Invalid

PORT = 8773
# What answers under these paths in every version: the compute service and Walrus, or what has
# taken its place.
PATHS = {"ec2": "/services/Eucalyptus", "s3": "/services/Walrus"}
FORM = "ec2=HOST[:PORT];s3=HOST[:PORT]"

# Where clouds tell a machine its own secrets.
METADATA = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::/32"),
)


def urls_of(provider: str) -> dict[str, str]:
    """Return the URLs of the services that a provider names, by `ec2` and `s3`.

    A host has no TLS and the usual port and path, unless they are told: `s3=https://HOST/PATH`.
    Raises Invalid.
    """
    urls: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in provider.split(";"))):
        name, is_named, place = (each.strip() for each in part.partition("="))
        if not is_named or name not in PATHS or name in urls:
            raise Invalid(f"a provider of eucalyptus reads {FORM}")
        urls[name] = _url(place, PATHS[name])
    if not urls:
        raise Invalid(f"a provider of eucalyptus reads {FORM}")
    return urls


def check_allowed(url: str, allowed: Iterable[str] | None) -> None:
    """Raise Forbidden for a host that strangers must not have this program call."""
    host = (urlsplit(url).hostname or "").lower()
    if allowed is not None:
        if host not in {each.lower() for each in allowed}:
            raise Forbidden("this host is not among those that a provider may name here")
        return
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    address = getattr(address, "ipv4_mapped", None) or address
    if any(address in network for network in METADATA):
        raise Forbidden("this host is none of a cloud")


def _url(place: str, path: str) -> str:
    try:
        parts = urlsplit(place if "://" in place else f"http://{place}")
        port = parts.port
    except ValueError:
        raise Invalid(f"a provider of eucalyptus reads {FORM}") from None
    is_plain = place.isascii() and place.isprintable() and " " not in place
    extras = parts.username or parts.password or parts.query or parts.fragment
    if not is_plain or extras or not parts.hostname or port == 0:
        raise Invalid(f"a provider of eucalyptus reads {FORM}")
    if parts.scheme not in {"http", "https"}:
        raise Invalid("a cloud is called by http or https")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if "://" not in place:
        # A path may follow the host all the same; the port is the cloud's own.
        return f"{parts.scheme}://{host}:{port or PORT}{parts.path.rstrip('/') or path}"
    with_port = f":{port}" if port else ""
    return f"{parts.scheme}://{host}{with_port}{parts.path.rstrip('/') if parts.path else path}"
