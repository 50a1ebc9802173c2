"""What no list of a cloud tells: how much blobs take, and what passed through instances."""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from nimbi.broker.accounts import Accounts
from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.compute import Metrics
from nimbi.gateway import pages
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import Account
from nimbi.model.errors import CloudError
from nimbi.model.metrics import Metric
from nimbi.store.differences import Told
from nimbi.store.metered import BLOBS, TRAFFIC_IN, TRAFFIC_OUT, Facts, Seen
from nimbi.store.meters import MeterStore
from nimbi.store.moments import stored

log = logging.getLogger(__name__)

# An account's tag of this name says what to measure: `blobs traffic`, or nothing of both.
TAG = "metering"
# Public clouds take money for each instance whose traffic is asked for, so that is to be told.
USUAL = {"local": frozenset({"blobs", "traffic"})}
OTHERS = frozenset({"blobs"})

PAGE = 1000
MIB = 2**20
# A bucket is counted so often; it takes a request for each thousand blobs.
BLOBS_EVERY = timedelta(hours=6)
# The last samples may not be whole yet: they count the next time.
UNSETTLED = timedelta(minutes=2)
SERIES = {"nicInputByte": TRAFFIC_IN, "nicOutputByte": TRAFFIC_OUT}


class Measures:
    """Measures all accounts, one after the other, in the background."""

    def __init__(self, accounts: Accounts, registry: Registry) -> None:
        self._accounts = accounts
        self._registry = registry
        self._task: asyncio.Task[None] | None = None
        self._counted: dict[str, datetime] = {}

    def begin(self, meter: MeterStore, now: datetime) -> None:
        """Measure once, unless that is still going on from before."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._guarded(meter, now))

    async def aclose(self) -> None:
        """Break off what is going on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def measure(self, meter: MeterStore, now: datetime) -> None:
        """Measure all accounts; one that fails is measured the next time."""
        for account in await self._accounts.all():
            if account.is_enabled:
                try:
                    await self._of_account(account, meter, now)
                except CloudError as error:
                    log.warning("%s could not be measured: %s", account.id, error)

    async def _guarded(self, meter: MeterStore, now: datetime) -> None:
        try:
            await self.measure(meter, now)
        except Exception:
            log.exception("measuring failed; it is tried again")

    async def _of_account(self, account: Account, meter: MeterStore, now: datetime) -> None:
        wanted = wanted_of(account)
        can = self._registry.supported(account.driver)
        if "blobs" in wanted and "blobs.page" in can:
            before = self._counted.get(account.id)
            if before is None or now - before >= BLOBS_EVERY:
                async with self._accounts.use(account.id) as cloud:
                    await self._blobs(account.id, cloud, meter, now)
                self._counted[account.id] = now
        if "traffic" in wanted and "metrics.get" in can:
            async with self._accounts.use(account.id) as cloud:
                await self._traffic(account.id, cloud, meter, now)

    async def _blobs(self, account: str, cloud: Cloud, meter: MeterStore, now: datetime) -> None:
        """Count what each bucket holds; begun MiB of a bucket count, not of a blob."""
        async for bucket in pages.items(
            lambda marker: cloud.call(Buckets.page, marker, PAGE), f"{account}: buckets"
        ):
            size = 0
            async for page in pages.each(
                lambda marker, id=bucket.id: cloud.call(Blobs.page, id, marker, PAGE),  # type: ignore[misc]
                f"{account}: blobs of {bucket.id}",
            ):
                size += sum(blob.size_bytes for blob in page.items)
            facts = Facts("", "", bucket.location or "", -(-size // MIB))
            seen = Seen(bucket.name, None, facts)
            await meter.measure([Told(account, BLOBS, bucket.id, stored(now), seen, None)])

    async def _traffic(self, account: str, cloud: Cloud, meter: MeterStore, now: datetime) -> None:
        counted = {name: await meter.measured(account, name) for name in SERIES.values()}
        async for listed in pages.items(
            lambda marker: cloud.call(Metrics.page, marker, PAGE), f"{account}: metrics"
        ):
            metric = await cloud.call(Metrics.get, listed.id)
            await meter.measure(list(passed(account, metric, counted, now)))


def wanted_of(account: Account) -> frozenset[str]:
    """Return what is to be measured of an account: `blobs`, `traffic`."""
    told = account.tags.get(TAG)
    if told is None:
        return USUAL.get(account.driver, OTHERS)
    return frozenset(told.replace(",", " ").split())


def passed(
    account: str, metric: Metric, counted: dict[str, dict[str, int]], now: datetime
) -> Iterable[Told]:
    """Yield what passed through an instance since it was counted last; each sample counts once.

    A sample says how many bytes it were since the one before.
    """
    settled_us = stored(now - UNSETTLED)
    for series in metric.series:
        collection = SERIES.get(series.name)
        if collection is None:
            continue
        after_us = counted[collection].get(metric.id, 0)
        new = [one for one in series.samples if after_us < stored(one.at) <= settled_us]
        count = round(sum(one.average for one in new))
        if new:
            at_us = max(stored(one.at) for one in new)
            facts = Facts("", "", "", count)
            yield Told(
                account, collection, metric.id, at_us, Seen(metric.entity, None, facts), None
            )
