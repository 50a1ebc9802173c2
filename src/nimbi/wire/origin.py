"""Who caused a request in a browser: a page of ours, or one of somebody else."""

from collections.abc import Mapping
from urllib.parse import urlsplit

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Return whether a request was sent by a page of another origin; ask it before any change.

    A browser that once logged in by HTTP Basic sends the login along with every request to this
    server, also with a form that a foreign page submits. A form needs no preflight, so the only
    guard is to ask who sent it. Browsers tell: by Sec-Fetch-Site on secure origins (the page
    cannot set it; https://www.w3.org/TR/fetch-metadata/), else by Origin, which every POST across
    origins carries (RFC 6454, section 7). `same-site` counts as foreign: a neighbour below the
    same domain is not this server. Neither header: not a browser, hence no login of a third
    person to abuse; curl and the client libraries pass.

    The scheme is not compared, since a proxy in front may end TLS and keep the Host.
    """
    told = {name.lower(): value.strip().lower() for name, value in headers.items()}
    site = told.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = told.get("origin")
    if origin is None:
        return False
    sender = _authority(origin)
    asked = _authority(f"{origin.partition(':')[0]}://{told.get('host', '')}")
    return sender is None or sender != asked


def _authority(url: str) -> tuple[str, int | None] | None:
    """Return host and port; None for what has none, such as the opaque origin `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.hostname, port or DEFAULT_PORTS.get(parts.scheme)
