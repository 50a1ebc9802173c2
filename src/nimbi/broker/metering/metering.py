"""Metering and money as front ends use them, and the work in the background."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from nimbi.broker.background import background
from nimbi.broker.metering.bills import Bills
from nimbi.broker.metering.budgets import Budgets
from nimbi.broker.metering.measures import Measures
from nimbi.broker.metering.prices import Prices
from nimbi.broker.metering.reports import Reports
from nimbi.model.errors import CloudError
from nimbi.store.bills import BillStore
from nimbi.store.budgets import BudgetStore
from nimbi.store.database import Database
from nimbi.store.leases import LeaseStore
from nimbi.store.meters import MeterStore
from nimbi.store.prices import PriceStore
from nimbi.store.usage import UsageStore

log = logging.getLogger(__name__)

LEASE = "metering"


@dataclass(frozen=True)
class Rhythm:
    """How often events are taken in, the inventory compared, budgets looked at, clouds measured.

    `lease_s` after the last sign of life of the process that does it another one goes on.
    """

    look_s: float = 2.0
    compare_s: float = 60.0
    budgets_s: float = 60.0
    measure_s: float = 3600.0
    lease_s: float = 30.0


USUAL = Rhythm()


class Metering:
    """What is used, what it costs, what is owed and what may be spent."""

    def __init__(
        self,
        database: Database,
        leases: LeaseStore,
        measures: Measures | None,
        *,
        holder: str,
        rhythm: Rhythm = USUAL,
    ) -> None:
        self.usage = UsageStore(database)
        self.meter = MeterStore(database)
        prices = PriceStore(database)
        self.prices = Prices(prices)
        self.reports = Reports(self.usage, prices, self.meter)
        self.bills = Bills(BillStore(database), self.usage, prices, self.meter)
        self.budgets = Budgets(BudgetStore(database), self.reports, self.usage)
        self._leases = leases
        self._measures = measures
        self._holder = holder
        self._rhythm = rhythm
        self._due: dict[str, float] = {}

    async def catch_up(self) -> None:
        """Take in all that is known to have happened; for whoever wants to be sure of a sum."""
        while True:
            progress = await self.meter.advance()
            if progress.missed:
                await self.meter.compare(whole=True)
            elif not progress.taken and await self.meter.compare() is not None:
                return

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Meter for as long as the block runs; of several processes one does it at a time."""
        try:
            async with background(self._run()):
                yield
        finally:
            if self._measures is not None:
                await self._measures.aclose()

    async def _run(self) -> None:
        fence: int | None = None
        while True:
            try:
                fence = await self._turn(fence)
            except CloudError:
                log.warning("metering waits: the database cannot be reached")
            except Exception:
                log.exception("metering failed, and goes on")
            await asyncio.sleep(self._rhythm.look_s)

    async def _turn(self, fence: int | None) -> int | None:
        """Do what is due, if this process is the one that meters; return the lease's fence."""
        seconds = self._rhythm.lease_s
        if fence is not None and not await self._leases.keep(LEASE, self._holder, fence, seconds):
            fence = None
        if fence is None:
            fence = await self._leases.take(LEASE, self._holder, seconds)
        if fence is None:
            return None
        # However long the events have waited: each step is short, and the lease is kept between.
        progress = await self.meter.advance()
        if progress.missed:
            await self.meter.compare(whole=True)
        elif not progress.taken and self._is_due("compare", self._rhythm.compare_s):
            await self.meter.compare()
        if self._is_due("budgets", self._rhythm.budgets_s):
            await self.budgets.look_at_all()
        if self._measures is not None and self._is_due("measures", self._rhythm.measure_s):
            self._measures.begin(self.meter, datetime.now(UTC))
        return fence

    def _is_due(self, what: str, every_s: float) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True
