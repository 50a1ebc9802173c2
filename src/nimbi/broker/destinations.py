"""Which addresses accounts and webhooks may have this program call."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from nimbi.driver.interface import Driver
from nimbi.model.errors import Forbidden, Invalid, Timeout
from nimbi.wire.destinations import Reach, is_within
from nimbi.wire.proxies import proxies_from_environment

RESOLVE_S = 10.0
PORTS = {"http": 80, "https": 443}

METADATA = "that is where a cloud tells a machine its secrets, and is never called"
OUT_OF_REACH = (
    "{host} is an address of this machine or of a private network: "
    "the operator allows those by private_endpoints"
)

# Gives the addresses of a host at a port; raises OSError when there are none.
Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]


async def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """Return all addresses that a connection to a host may go to, as the system finds them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(str(info[4][0]) for info in found)


class Destinations:
    """The operator's word on it: with `private`, any but those where clouds tell secrets.

    A name is looked up here, when an account or webhook is saved, so that a mistake is told at
    once. It may stand for another address later: whoever calls it uses
    `HttpClient.reaching(destinations.reach)`, which looks at the address of each connection.
    """

    def __init__(self, *, private: bool, resolve: Resolve = addresses_of) -> None:
        self.reach = Reach.PRIVATE if private else Reach.PUBLIC
        self._resolve = resolve
        self._proxy_of = proxies_from_environment()

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return all addresses that a host stands for now. Raises OSError when there are none."""
        return await self._resolve(host, port)

    async def check_url(self, url: str) -> None:
        """Raise Forbidden for a URL whose host is, or stands for, an address out of reach.

        Raises Invalid for what is no http(s) URL, has a user in it, or a name that nobody knows.
        """
        scheme, host, port = _parts(url)
        try:
            async with asyncio.timeout(RESOLVE_S):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise Timeout(f"no address of {host} was found in time") from error
        except (OSError, UnicodeError) as error:
            if self._proxy_of(scheme, host, port) is not None:
                # The proxy knows names that this machine does not.
                return
            raise Invalid(f"there is no host {host}") from error
        if not addresses or not all(is_within(address, self.reach) for address in addresses):
            is_secret = not all(is_within(address, Reach.PRIVATE) for address in addresses)
            raise Forbidden(METADATA if is_secret else OUT_OF_REACH.format(host=host))

    async def check_provider(
        self, driver: Driver[object, object], provider: str | None, *, own_login: bool
    ) -> None:
        """Raise Forbidden for a provider that names an address out of reach, Invalid for none.

        A login of this machine goes where this machine's own settings say, unless private
        addresses are allowed: then the operator trusts those who make accounts.
        """
        for url in driver.urls_of(provider) if provider else ():
            if own_login and self.reach is not Reach.PRIVATE:
                raise Forbidden(
                    "an account with the login of this machine names no address of its own: "
                    "the operator allows it by private_endpoints"
                )
            await self.check_url(url)

    def reach_of(
        self, driver: Driver[object, object], provider: str | None, *, own_login: bool
    ) -> Reach:
        """Return how far the requests of an account may go.

        One whose provider names no address goes where the operator's settings, or the cloud's
        maker, say. Raises Invalid for a provider that can be none.
        """
        if own_login or not provider or not any(driver.urls_of(provider)):
            return Reach.ANYWHERE
        return self.reach


def _parts(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError as error:
        raise Invalid("this is no URL: https://HOST[:PORT][/PATH]") from error
    if scheme not in PORTS or not host or port == 0:
        raise Invalid("this is no URL: https://HOST[:PORT][/PATH]")
    if parts.username is not None or parts.password is not None:
        raise Invalid("a URL has no user in it here: it would be shown")
    return scheme, host, port or PORTS[scheme]
