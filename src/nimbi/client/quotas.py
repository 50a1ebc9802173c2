"""Quotas and limits of tenants, and what tenants hold in clouds."""

from collections.abc import Mapping

from nimbi.client.answers import Items
from nimbi.client.core import Blocking, Looping, call
from nimbi.client.flow import Flow
from nimbi.client.requests import with_query
from nimbi.client.resources import ACCOUNTS, _path, _Resource
from nimbi.model.holdings import Drift, Holding, Limit, TenantQuota

QUOTAS = "/v1/tenant-quotas"
TENANTS = "/v1/tenants"
HOLDINGS = "/v1/holdings"


class _TenantQuotas(_Resource):
    """What tenants may have; a tenant is told by its id or place (`acme/web`)."""

    @call
    def all(self, tenant: str) -> Flow[tuple[TenantQuota, ...]]:
        """Return how much a tenant and those below it may have, and have, of each resource."""
        return self._all(_path(QUOTAS, tenant), TenantQuota)

    @call
    def set(self, tenant: str, limits: Mapping[str, int | None]) -> Flow[None]:
        """Set quotas by resource; None is no limit. Raises Forbidden for the caller's own."""
        yield from self.core.exchange("PATCH", _path(QUOTAS, tenant), dict(limits))

    @call
    def recount(self, *, mend: bool = False) -> Flow[tuple[Drift, ...]]:
        """Return where what is counted is not what is there; set it right when told to."""
        found: Items[Drift] = yield from self._told(
            "POST", f"{HOLDINGS}/recount", Items[Drift], {"mend": mend}
        )
        return found.items


class _Limits(_Resource):
    """What tenants may use of accounts."""

    @call
    def all(self, tenant: str) -> Flow[tuple[Limit, ...]]:
        """Return the limits of a tenant and of all above it."""
        return self._all(_path(TENANTS, tenant, "limits"), Limit)

    @call
    def set(self, limit: Limit) -> Flow[Limit]:
        """Set a limit instead of the one before. Raises Forbidden for the caller's own tenant."""
        told = {
            "regions": limit.regions,
            "sizes": limit.sizes,
            "price_hour_micros": limit.price_hour_micros,
        }
        return self._told("PUT", _path(TENANTS, limit.tenant, "limits", limit.account), Limit, told)

    @call
    def destroy(self, tenant: str, account: str) -> Flow[None]:
        """Remove a limit. Raises NotFound."""
        return self._removed(_path(TENANTS, tenant, "limits", account))


class _Holdings(_Resource):
    """Whose things in clouds are."""

    @call
    def all(
        self, tenant: str | None = None, account: str | None = None, collection: str | None = None
    ) -> Flow[tuple[Holding, ...]]:
        """Return what a tenant (the token's, when none is told) and those below it hold."""
        told = {"tenant": tenant, "account": account, "collection": collection}
        pairs = [(name, value) for name, value in told.items() if value is not None]
        found: list[Holding] = []
        marker: list[tuple[str, str]] = []
        while True:
            target = with_query(HOLDINGS, [*pairs, *marker])
            page: Items[Holding] = yield from self._get(target, Items[Holding])
            found += page.items
            if page.next is None:
                return tuple(found)
            marker = [("marker", page.next)]

    @call
    def give(self, account: str, collection: str, id: str, tenant: str) -> Flow[None]:
        """Give a thing to a tenant, which counts it from now on. Raises QuotaExceeded."""
        place = _path(ACCOUNTS, account, "holdings", collection, id)
        yield from self.core.exchange("PATCH", place, {"tenant": tenant})


class TenantQuotas(_TenantQuotas, Looping):
    """What tenants may have, for callers in an event loop."""


class SyncTenantQuotas(_TenantQuotas, Blocking):
    """What tenants may have, for blocking callers."""


class Limits(_Limits, Looping):
    """What tenants may use of accounts, for callers in an event loop."""


class SyncLimits(_Limits, Blocking):
    """What tenants may use of accounts, for blocking callers."""


class Holdings(_Holdings, Looping):
    """Whose things are, for callers in an event loop."""


class SyncHoldings(_Holdings, Blocking):
    """Whose things are, for blocking callers."""
