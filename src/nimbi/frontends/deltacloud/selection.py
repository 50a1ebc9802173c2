"""Which driver and provider serve a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from nimbi.frontends.deltacloud.reply import Headers, Problem
from nimbi.wire.matrix import Segment, join

API_VERSION = "1.1.3"
SERVER = f"Apache-Deltacloud/{API_VERSION}"

DRIVER_HEADER = b"x-deltacloud-driver"
PROVIDER_HEADER = b"x-deltacloud-provider"

# Longer names are of no cloud; they would only fill logs and caches.
MAX_NAME_CHARS = 256


@dataclass(frozen=True)
class Selection:
    """The driver and provider of one request.

    `provider` None is the driver's own default. `root` is the entry point with what the path
    selected, such as `/api;driver=mock`.
    """

    driver: str
    provider: str | None
    root: str = "/api"


def selected(
    headers: Mapping[bytes, bytes], matrix: Mapping[str, str], default: Selection
) -> Selection:
    """Return what headers and matrix parameters choose; the latter win, the default is last.

    Raises Problem for a name that cannot be one.
    """
    if not matrix and DRIVER_HEADER not in headers and PROVIDER_HEADER not in headers:
        return default
    asked_driver = matrix.get("driver") or _header(headers, DRIVER_HEADER)
    driver = _checked(asked_driver, "driver").lower() if asked_driver else default.driver
    asked_provider = matrix.get("provider") or _header(headers, PROVIDER_HEADER)
    provider = default.provider if driver == default.driver else None
    if asked_provider:
        provider = _checked(asked_provider, "provider")
    chosen = {name: matrix[name] for name in ("driver", "provider") if matrix.get(name)}
    root = join((Segment("api", chosen),)).decode("ascii") if chosen else "/api"
    return Selection(driver, provider, root)


@lru_cache(maxsize=256)
def signature(driver: str, provider: str | None) -> Headers:
    """Return the headers that tell who answered."""
    server = (b"server", SERVER.encode())
    named = (DRIVER_HEADER, driver.encode())
    if provider is None:
        return (server, named)
    return (server, named, (PROVIDER_HEADER, provider.encode()))


def _header(headers: Mapping[bytes, bytes], name: bytes) -> str:
    value = headers.get(name, b"")
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise _bad(name.decode()) from error


def _checked(name: str, what: str) -> str:
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise _bad(what)
    return name


def _bad(what: str) -> Problem:
    return Problem(400, "ValidationFailure", f"the name of the {what} is not one that can exist")
