"""Limits: what of an account tenants may use is checked before its cloud is asked."""

import time
from collections.abc import Sequence
from typing import Protocol

from nimbi.broker.access import Caller
from nimbi.broker.sizing import Measured
from nimbi.model.errors import Forbidden, Invalid, NotFound
from nimbi.model.holdings import Limit, amount_told
from nimbi.store.limits import LimitStore

# What another process has set is known here so late at most.
AGE_S = 2.0
MOST_KNOWN = 1000
MOST_NAMES = 1000
PRICE = "price_hour_micros"

# What lies in a region of its own, and what costs something by the hour.
REGIONAL = frozenset({"instances", "volumes"})
PRICED = frozenset({"instances", "volumes"})

Place = tuple[tuple[str, ...], str]


class Spending(Protocol):
    """Tells whether a tenant's money is spent: the budgets, as far as there are some."""

    async def check(self, tenant: str) -> None:
        """Raise QuotaExceeded when nothing more may be made in a tenant."""
        ...


class Unbounded:
    """The budgets of an installation that has none."""

    async def check(self, tenant: str) -> None:
        return


UNBOUNDED = Unbounded()


class Limits:
    """The limits of all tenants, and of their money."""

    def __init__(self, store: LimitStore, spending: Spending = UNBOUNDED) -> None:
        self._store = store
        self._spending = spending
        self._known: dict[Place, tuple[float, tuple[Limit, ...]]] = {}

    async def check(self, caller: Caller, account: str, collection: str, found: Measured) -> None:
        """Raise Forbidden unless the caller's tenant, and all above it, may use such a thing.

        Where something is limited, a wish that leaves it to the cloud is refused too, and so is one
        whose price is not known. Raises QuotaExceeded when a budget that stops launches is spent.
        """
        await self._spending.check(caller.tenant)
        for limit in await self._of(caller.path, account):
            if (why := _beyond(limit, collection, found)) is not None:
                raise await self._refused(limit, why)

    async def check_price(self, caller: Caller, account: str, found: Measured) -> None:
        """Raise Forbidden unless a thing of another size may cost what it will."""
        for limit in await self._of(caller.path, account):
            if (why := _too_dear(limit, found.amounts.price_hour_micros)) is not None:
                raise await self._refused(limit, why)

    async def page(self, tenants: Sequence[str]) -> tuple[Limit, ...]:
        """Return the limits of these tenants."""
        return await self._store.of(tenants)

    async def set(self, limit: Limit) -> Limit:
        """Keep a limit instead of the one before. Raises Invalid for what cannot be one."""
        for names in (limit.regions, limit.sizes):
            if names is not None and len(names) > MOST_NAMES:
                raise Invalid(f"a limit has at most {MOST_NAMES} names")
        if limit.price_hour_micros is not None and not 0 <= limit.price_hour_micros < 1 << 62:
            raise Invalid("a price is 0 or more")
        await self._store.set(limit)
        self._known.clear()
        return limit

    async def remove(self, tenant: str, account: str) -> None:
        """Forget a limit. Raises NotFound."""
        if not await self._store.remove(tenant, account):
            raise NotFound(f"{tenant!r} has no limit on the account {account!r}")
        self._known.clear()

    async def _refused(self, limit: Limit, why: str) -> Forbidden:
        place = await self._store.place(limit.tenant)
        return Forbidden(f"on the account {limit.account!r}, {place} may use {why}")

    async def _of(self, path: tuple[str, ...], account: str) -> tuple[Limit, ...]:
        place = (path, account)
        read_at, known = self._known.get(place, (float("-inf"), ()))
        now = time.monotonic()
        if now - read_at >= AGE_S:
            known = await self._store.of(path, account)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[place] = now, known
        return known


def _is_among(name: str | None, allowed: tuple[str, ...] | None) -> bool:
    if allowed is None:
        return True
    return name is not None and any(
        name.startswith(one[:-1]) if one.endswith("*") else name == one for one in allowed
    )


def _beyond(limit: Limit, collection: str, found: Measured) -> str | None:
    """Return what of a thing a limit does not allow, None when it allows it."""
    if collection in REGIONAL and not _is_among(found.region, limit.regions):
        return f"the regions {_told(limit.regions)} only, not {_named(found.region)}"
    if collection == "instances" and not _is_among(found.kind, limit.sizes):
        return f"the sizes {_told(limit.sizes)} only, not {_named(found.kind)}"
    if collection in PRICED:
        return _too_dear(limit, found.amounts.price_hour_micros)
    return None


def _too_dear(limit: Limit, price: int | None) -> str | None:
    """Return how a price is above the limit, None when it is not."""
    most = limit.price_hour_micros
    if most is None or (price is not None and price <= most):
        return None
    told = "no price of this is known" if price is None else f"not {amount_told(PRICE, price)}"
    return f"only what costs up to {amount_told(PRICE, most)} an hour: {told}"


def _told(names: tuple[str, ...] | None) -> str:
    return ", ".join(names or ()) or "nothing"


def _named(name: str | None) -> str:
    return "what the cloud chooses: name it" if name is None else repr(name)
