"""What slows down those who guess: failures in a row from one address cost a pause."""

import ipaddress
from datetime import UTC, datetime, timedelta

from nimbi.model.errors import Throttled
from nimbi.store.people import PeopleStore

# After so many failures in a row from one address each further one costs a pause, which doubles.
FREE_FAILURES = 5
LONGEST_PAUSE_S = 300.0
FORGET_AFTER = timedelta(hours=1)
# The network that one customer has of IPv6.
PREFIX_OF_ONE = 64


class Throttle:
    """Counts failures of one kind, for all processes of the database."""

    def __init__(self, store: PeopleStore, kind: str) -> None:
        self._store = store
        self._kind = kind

    async def check(self, where: str | None) -> None:
        """Raise Throttled while an address has to wait after its failures."""
        place = self._place(where)
        failures, last_at = await self._store.attempts(place)
        if last_at is None:
            return
        now = datetime.now(UTC)
        if now - last_at > FORGET_AFTER:
            await self._store.succeeded(place)
            return
        left_s = (last_at - now).total_seconds() + pause_after(failures)
        if left_s > 0:
            raise Throttled("too many wrong logins from this address", round(left_s, 1))

    async def failed(self, where: str | None) -> None:
        """Count one more failure from an address."""
        await self._store.failed(self._place(where), datetime.now(UTC))

    async def succeeded(self, where: str | None) -> None:
        """Forget the failures of an address."""
        await self._store.succeeded(self._place(where))

    def _place(self, where: str | None) -> str:
        return f"{self._kind} {_network(where)}"


def pause_after(failures: int) -> float:
    """Return how many seconds an address has to wait after so many failures in a row."""
    beyond = failures - FREE_FAILURES
    return min(LONGEST_PAUSE_S, 2.0 ** min(beyond, 16)) if beyond >= 0 else 0.0


def _network(where: str | None) -> str:
    """Return the network that one customer has, since all its addresses are theirs."""
    try:
        address = ipaddress.ip_address((where or "").partition("%")[0])
    except ValueError:
        return where or "local"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, PREFIX_OF_ONE), strict=False))
