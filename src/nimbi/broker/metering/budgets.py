"""Budgets: what tenants may spend in a month; who is told, and what is refused."""

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from nimbi.broker.metering.periods import month, month_at, zone_of
from nimbi.broker.metering.reports import Reports
from nimbi.model.errors import Invalid, QuotaExceeded
from nimbi.model.metering import Budget, BudgetChange, NewBudget
from nimbi.store.budgets import BudgetStore, Kept
from nimbi.store.usage import UsageStore

MOST = 1000
# What was found by another process is known here so late at most.
AGE_S = 2.0
MOST_KNOWN = 1000
MOST_WARNINGS = 20
LARGEST = Decimal(10) ** 15


class Budgets:
    """The budgets of all tenants."""

    def __init__(self, store: BudgetStore, reports: Reports, usage: UsageStore) -> None:
        self._store = store
        self._reports = reports
        self._usage = usage
        self._known: dict[str, tuple[float, tuple[Budget, ...]]] = {}

    async def check(self, tenant: str) -> None:
        """Raise QuotaExceeded when nothing more may be made in a tenant: its money is spent.

        Its own budgets and those of the tenants above count, as far as they stop launches, by what
        was found last; a month that has just begun has nothing spent.
        """
        for budget in await self._stopping(tenant):
            if not budget.is_spent or budget.month is None:
                continue
            zone = zone_of(budget.zone)
            if budget.month == month_at(int(datetime.now(UTC).timestamp()), zone):
                raise QuotaExceeded(
                    f"the budget of {budget.tenant!r} for {budget.month} is spent:"
                    f" {budget.spent} of {budget.amount} {budget.currency}",
                    tenant=budget.tenant,
                    resource="money",
                )

    async def _stopping(self, tenant: str) -> tuple[Budget, ...]:
        known = self._known.get(tenant)
        now = time.monotonic()
        if known is not None and now - known[0] <= AGE_S:
            return known[1]
        found = await self._store.spent_of(tenant)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[tenant] = (now, found)
        return found

    async def all(self) -> tuple[Kept, ...]:
        """Return all with the paths of their tenants, the oldest first."""
        return await self._store.all()

    async def get(self, id: str) -> Kept:
        """Return one with the paths of its tenant and of who set it. Raises NotFound."""
        return await self._store.get(id)

    async def path(self, tenant: str) -> tuple[str, ...]:
        """Return the tenants from the root to this one. Raises NotFound."""
        return parts(await self._store.path(tenant))

    async def create(self, new: NewBudget, owner: Sequence[str]) -> Budget:
        """Return a new budget; `owner` is the path of the tenant that sets it.

        Raises Invalid for what is no budget, NotFound for an unknown tenant.
        """
        _check(new.amount, new.warn_at)
        zone_of(new.zone)
        path = await self._store.path(new.tenant)
        if len(await self._store.all()) >= MOST:
            raise Invalid(f"there are at most {MOST} budgets")
        budget = Budget(
            id=f"bud_{secrets.token_hex(8)}",
            tenant=new.tenant,
            owner=owner[-1],
            amount=new.amount,
            currency=new.currency,
            zone=new.zone,
            warn_at=tuple(sorted(set(new.warn_at))),
            stops_launches=new.stops_launches,
            created_at=datetime.now(UTC),
        )
        self._known.clear()
        await self._store.add(budget, path, f"/{'/'.join(owner)}/")
        return budget

    async def change(self, id: str, change: BudgetChange) -> Budget:
        """Change one, and find out anew what is spent of it. Raises Invalid, NotFound."""
        _check(change.amount, change.warn_at)
        if change.warn_at is not None:
            change = BudgetChange(
                amount=change.amount,
                warn_at=tuple(sorted(set(change.warn_at))),
                stops_launches=change.stops_launches,
            )
        await self._store.change(id, change, datetime.now(UTC))
        self._known.clear()
        await self.look(await self._store.get(id))
        return (await self._store.get(id)).budget

    async def destroy(self, id: str) -> None:
        """Forget one. Raises NotFound."""
        self._known.clear()
        await self._store.remove(id, datetime.now(UTC))

    async def look_at_all(self) -> None:
        """Find out what is spent of each, and tell what is worth a warning."""
        for kept in await self._store.all():
            await self.look(kept)

    async def look(self, kept: Kept) -> None:
        """Find out what is spent of one in this month."""
        budget = kept.budget
        zone, now_s = zone_of(budget.zone), await self._usage.now_s()
        name = month_at(now_s, zone)
        begin_s, _ = month(name, zone)
        spent = Decimal(0)
        if begin_s < now_s:
            spent = await self._reports.spent(budget.tenant, budget.currency, begin_s, now_s)
        reached = [percent for percent in budget.warn_at if spent * 100 >= budget.amount * percent]
        self._known.clear()
        await self._store.found(budget.id, name, spent, max(reached, default=0), datetime.now(UTC))


def parts(path: str) -> tuple[str, ...]:
    """Return the tenants of a path as it is kept: `/root/a/`."""
    return tuple(path.strip("/").split("/"))


def _check(amount: Decimal | None, warn_at: tuple[int, ...] | None) -> None:
    if amount is not None and not (amount.is_finite() and 0 < amount < LARGEST):
        raise Invalid(f"a budget is more than nothing and less than {LARGEST}")
    if warn_at is not None and len(warn_at) > MOST_WARNINGS:
        raise Invalid(f"a budget has at most {MOST_WARNINGS} warnings")
