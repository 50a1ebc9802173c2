"""Usage, prices, bills and budgets."""

from collections.abc import Sequence
from datetime import datetime

from nimbi.client.core import Blocking, Looping, call
from nimbi.client.flow import Flow
from nimbi.client.requests import with_query
from nimbi.client.resources import _asked, _path, _Resource
from nimbi.model.metering import (
    Bill,
    Budget,
    BudgetChange,
    Check,
    Imported,
    Interval,
    NewBills,
    NewBudget,
    NewPrice,
    NewPrices,
    Price,
    Report,
)

USAGE = "/v1/usage"
PRICES = "/v1/prices"
BILLS = "/v1/bills"
BUDGETS = "/v1/budgets"


class _Usage(_Resource):
    """What was used, and what it costs."""

    @call
    def report(
        self,
        *,
        month: str | None = None,
        begin: datetime | None = None,
        until: datetime | None = None,
        zone: str = "UTC",
        by: Sequence[str] = ("tenant", "meter"),
        tenant: str | None = None,
        accounts: Sequence[str] = (),
    ) -> Flow[Report]:
        """Return what was used and what it costs; without a time, this month so far.

        `by` is what a row is about: tenant, account, meter, kind, realm, day, `tag.NAME`.
        """
        pairs = [("zone", zone), ("by", ",".join(by))]
        pairs += _pairs(month=month, tenant=tenant, accounts=accounts, begin=begin, until=until)
        return self._get(with_query(USAGE, pairs), Report)

    @call
    def intervals(
        self,
        *,
        begin: datetime | None = None,
        until: datetime | None = None,
        collection: str | None = None,
        thing: str | None = None,
        tenant: str | None = None,
        accounts: Sequence[str] = (),
    ) -> Flow[tuple[Interval, ...]]:
        """Return the times in which things were used, in the order in which they were told."""
        pairs = _pairs(tenant=tenant, accounts=accounts, begin=begin, until=until)
        pairs += [("collection", collection)] if collection else []
        pairs += [("thing", thing)] if thing else []
        return self._all(with_query(f"{USAGE}/intervals", pairs), Interval)


class _Prices(_Resource):
    """What a unit of what is used costs."""

    @call
    def all(self, account: str | None = None) -> Flow[tuple[Price, ...]]:
        """Return all prices, or those of an account and those that hold for all."""
        pairs = [] if account is None else [("account", account)]
        return self._all(with_query(PRICES, pairs), Price)

    @call
    def get(self, id: str) -> Flow[Price]:
        """Return one price. Raises NotFound."""
        return self._get(_path(PRICES, id), Price)

    @call
    def add(self, *prices: NewPrice) -> Flow[Imported]:
        """Keep prices, all or none; one that says what holds already changes nothing."""
        told = [_asked(price) for price in prices]
        return self._told("POST", PRICES, Imported, {"prices": told})

    @call
    def load(self, new: NewPrices) -> Flow[Imported]:
        """Keep prices of a table (CSV) or of a list, with where they come from."""
        body = _asked(new)
        for price in body["prices"]:
            price.pop("token", None)
        return self._told("POST", PRICES, Imported, body)

    @call
    def end(self, id: str) -> Flow[None]:
        """Let a price hold no longer. Raises NotFound."""
        return self._removed(_path(PRICES, id))


class _Bills(_Resource):
    """What each tenant owes for a month."""

    @call
    def all(self, month: str | None = None, tenant: str | None = None) -> Flow[tuple[Bill, ...]]:
        """Return bills without their lines."""
        return self._all(with_query(BILLS, _pairs(month=month, tenant=tenant)), Bill)

    @call
    def make(self, new: NewBills) -> Flow[None]:
        """Make the bills of a month that is over. Raises Conflict for one that is not."""
        yield from self.core.exchange("POST", BILLS, _asked(new))

    @call
    def get(self, id: str) -> Flow[Bill]:
        """Return one bill with its lines. Raises NotFound."""
        return self._get(_path(BILLS, id), Bill)

    @call
    def check(self, id: str) -> Flow[Check]:
        """Make a bill again from all that was told, and return what differs. Raises NotFound."""
        return self._get(_path(BILLS, id, "check"), Check)


class _Budgets(_Resource):
    """What tenants may spend in a month."""

    @call
    def all(self) -> Flow[tuple[Budget, ...]]:
        """Return the budgets that concern the caller's tenant."""
        return self._all(BUDGETS, Budget)

    @call
    def get(self, id: str) -> Flow[Budget]:
        """Return one budget. Raises NotFound."""
        return self._get(_path(BUDGETS, id), Budget)

    @call
    def create(self, new: NewBudget) -> Flow[Budget]:
        """Say what a tenant and those below may spend."""
        return self._told("POST", BUDGETS, Budget, _asked(new))

    @call
    def change(self, id: str, change: BudgetChange) -> Flow[Budget]:
        """Change a budget. Raises NotFound, and Forbidden for one that was set above."""
        return self._told("PATCH", _path(BUDGETS, id), Budget, change)

    @call
    def destroy(self, id: str) -> Flow[None]:
        """Remove a budget. Raises NotFound, and Forbidden for one that was set above."""
        return self._removed(_path(BUDGETS, id))


class Usage(_Usage, Looping):
    """What was used, and what it costs; its methods are awaited."""


class SyncUsage(_Usage, Blocking):
    """What was used, and what it costs."""


class Prices(_Prices, Looping):
    """What a unit of what is used costs; its methods are awaited."""


class SyncPrices(_Prices, Blocking):
    """What a unit of what is used costs."""


class Bills(_Bills, Looping):
    """What each tenant owes for a month; its methods are awaited."""


class SyncBills(_Bills, Blocking):
    """What each tenant owes for a month."""


class Budgets(_Budgets, Looping):
    """What tenants may spend in a month; its methods are awaited."""


class SyncBudgets(_Budgets, Blocking):
    """What tenants may spend in a month."""


def _pairs(
    *,
    month: str | None = None,
    tenant: str | None = None,
    accounts: Sequence[str] = (),
    begin: datetime | None = None,
    until: datetime | None = None,
) -> list[tuple[str, str]]:
    told = {
        "month": month,
        "tenant": tenant,
        "account": ",".join(accounts) or None,
        "begin": begin.isoformat() if begin else None,
        "until": until.isoformat() if until else None,
    }
    return [(name, value) for name, value in told.items() if value is not None]
