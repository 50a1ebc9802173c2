"""Keys with the time at which they expire, and how they are renewed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from nimbi.wire import renewal
from nimbi.wire.sigv4 import Keys


@dataclass(frozen=True)
class Lease:
    """Keys; `expires_at` None is never."""

    keys: Keys
    expires_at: datetime | None = None


class Renewed:
    """Keys that are fetched once for all who wait, and again before they expire.

    `id` tells logins apart.
    """

    def __init__(
        self,
        id: str,
        fetch: Callable[[], Awaitable[Lease]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.id = id

        async def fetched() -> renewal.Lease[Keys]:
            lease = await fetch()
            return renewal.Lease(lease.keys, lease.expires_at)

        self._renewed = renewal.Renewed("keys of AWS", fetched, clock)

    async def keys(self) -> Keys:
        """Return keys that are good for a call. Raises what fetching them raises."""
        return await self._renewed.value()

    def refuse(self, keys: Keys) -> bool:
        """Take note that the cloud does not accept keys; return whether others may be had."""
        self._renewed.refuse(keys)
        return True

    async def aclose(self) -> None:
        """Stop what is under way."""
        await self._renewed.aclose()
