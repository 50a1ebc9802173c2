"""Quotas and holdings as front ends use them, and what keeps them right."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from nimbi.broker.access import Caller, may_touch
from nimbi.broker.accounts import Accounts
from nimbi.broker.ledger.blobs import COLLECTION as BLOBS
from nimbi.broker.sizing import Fetch, Sizing
from nimbi.driver.blobs import Blobs
from nimbi.driver.capabilities import BY_ID
from nimbi.model.errors import CloudError, Forbidden, Invalid, NotFound
from nimbi.model.holdings import RESOURCES, Amounts, Drift, Holding, HoldingState, TenantQuota
from nimbi.model.people import ROOT
from nimbi.store.connection import Row
from nimbi.store.database import Database
from nimbi.store.holdings import Holder, HoldingStore, Want, amounts_of
from nimbi.store.inventory import InventoryStore
from nimbi.store.lends import LendStore
from nimbi.store.quotas import Path
from nimbi.store.reconciliation import Reconciler
from nimbi.store.tenants import TenantStore

log = logging.getLogger(__name__)

# More than any database column holds is no limit that means something.
LARGEST = (1 << 62) - 1
PRICES = frozenset({"price_hour_micros", "price_month_micros"})


class Quotas:
    """What tenants have, and how much they may have."""

    def __init__(
        self,
        database: Database,
        holdings: HoldingStore,
        things: InventoryStore,
        sizing: Sizing,
        accounts: Accounts,
    ) -> None:
        self._database = database
        self._holdings = holdings
        self._things = things
        self._sizing = sizing
        self._accounts = accounts
        self._tenants = TenantStore(database)
        self._lends = LendStore(database)
        self._reconciler = Reconciler(database, holdings)

    async def path(self, caller: Caller, tenant: str | None) -> Path:
        """Return the path of a tenant, the caller's own when none is told.

        Raises NotFound for one that is not the caller's to see.
        """
        if tenant is None:
            return Path(caller.path)
        found = await self._tenants.get(tenant)
        if not may_touch(caller, found.path):
            raise NotFound(f"there is no domain or project {tenant[:60]!r}")
        return Path(found.path)

    async def of(self, path: Path) -> tuple[TenantQuota, ...]:
        """Return what a tenant may have and has, of all resources."""
        known = {quota.resource: quota for quota in await self._holdings.quotas.of([path.tenant])}
        unpriced = await self._holdings.quotas.unpriced(path)
        found = []
        for resource in RESOURCES:
            none = TenantQuota(tenant=path.tenant, resource=resource, limit=None, used=0)
            quota = known.get(resource, none)
            if resource in PRICES:
                quota = msgspec.structs.replace(quota, unpriced=unpriced)
            found.append(quota)
        return tuple(found)

    async def set(self, caller: Caller, path: Path, limits: Mapping[str, int | None]) -> None:
        """Set what a tenant may have; None is no limit. What it has already stays.

        Raises Forbidden for the caller's own tenant, unless that is the root domain, and Invalid.
        """
        if path.tenant == caller.tenant and caller.tenant != ROOT:
            raise Forbidden("the quotas of a tenant are set by those above it")
        for resource, limit in limits.items():
            if resource not in RESOURCES:
                raise Invalid(f"there are quotas of {', '.join(RESOURCES)}, not {resource[:60]!r}")
            if limit is not None and not 0 <= limit <= LARGEST:
                raise Invalid(f"the quota of {resource} is 0 or more")
        await self._holdings.quotas.limit(path.tenant, limits)

    async def adopt(self, caller: Caller, account: str, collection: str, id: str, to: Path) -> None:
        """Give a thing to a tenant, which counts it from now on.

        The thing is of the caller's tenant or of one below it, or nobody's in an account that is;
        and so is the tenant, which may use the account. Raises NotFound for others, Forbidden,
        QuotaExceeded.
        """
        own = await self._holdings.path_of(account, collection, id)
        is_own = caller.owned is None or account in caller.owned
        if not (is_own if own is None else may_touch(caller, own.tenants)):
            raise NotFound(f"there is no {id!r} in {collection}")
        await self._check_use(account, to)
        get = BY_ID.get(f"{collection}.get")
        if get is None or collection == BLOBS:
            raise NotFound(f"{collection[:60]!r} is nothing that tenants have")
        async with self._accounts.use(account) as cloud:
            thing: Any = await cloud.call(get.function, id)
            measured = await self._sizing.of_thing(account, collection, thing, cloud.call)
        want = Want(
            account=account,
            token=f"adopted\x1f{collection}\x1f{id}",
            collection=collection,
            amounts=measured.amounts,
            name=getattr(thing, "name", None),
            kind=(measured.kind or "") if measured.is_sure else None,
        )
        async with self._database.writing() as connection:
            await self._holdings.claim(connection, Holder(caller.user, to), want, id)

    async def _check_use(self, account: str, to: Path) -> None:
        """Raise Forbidden unless a tenant may use an account: it has it, or is lent it."""
        theirs = {(await self._accounts.get(account)).tenant}
        theirs |= {lend.tenant for lend in await self._lends.page(account)}
        if theirs.isdisjoint(to.tenants):
            raise Forbidden(f"{to.tenant!r} may not use the account {account!r}: lend it first")

    async def held(self, path: Path, **wish: Any) -> tuple[Holding, ...]:
        """Return a page of what a tenant and those below it have; see `HoldingStore.page`."""
        return await self._holdings.page(path, **wish)

    async def looked(self, account: str, collection: str, asked_at: datetime) -> None:
        """Take note of what a whole list of a cloud showed, and did not show."""
        try:
            await self._reconciler.looked(account, collection, asked_at)
            if rows := await self._reconciler.unmeasured(account, collection):
                await self._measure(account, rows, mend=True)
        except CloudError as error:
            # The next list is looked at again.
            log.warning("what is held in %s of %s is not compared: %s", collection, account, error)

    async def recount(self, *, mend: bool) -> tuple[Drift, ...]:
        """Return where what is counted is not what is there; set it right when told to.

        What is there is what clouds have told last; of blobs that are in doubt they are asked.
        """
        left = await self._reconciler.left(datetime.now(UTC), mend=mend)
        found = [_drift("gone", row) for row in left.gone]
        found += [_drift("stale", row) for row in left.stale if row.collection != BLOBS]
        doubtful = [row for row in left.stale if row.collection == BLOBS]
        for account in sorted({row.account for row in (*left.unmeasured, *doubtful)}):
            rows = [row for row in (*left.unmeasured, *doubtful) if row.account == account]
            try:
                found += await self._measure(account, rows, mend=mend)
            except CloudError:
                # What cannot be asked is wrong still.
                found += [_drift("size", row) for row in rows]
        sums = await self._holdings.quotas.recount(mend=mend)
        found += [
            Drift(kind="sum", tenant=one.tenant, resource=one.resource, used=one.used,
                  counted=one.counted)
            for one in sums
        ]  # fmt: skip
        return tuple(found)

    async def _measure(self, account: str, rows: Sequence[Row[Any]], *, mend: bool) -> list[Drift]:
        """Compare things with what they count for."""
        found = []
        async with self._accounts.use(account) as cloud:
            for row in rows:
                amounts = await self._real(row, cloud.call)
                if amounts != amounts_of(row):
                    found.append(_drift("size", row))
                if mend:
                    await self._settle(row, amounts)
        return found

    async def _real(self, row: Row[Any], fetch: Fetch) -> Amounts | None:
        """Return what a thing really comes to, None for one that is gone."""
        if row.collection == BLOBS:
            bucket, _, name = row.thing_id.partition("/")
            try:
                blob = await fetch(Blobs.get, bucket, name)
            except NotFound:
                return None
            return Amounts(blob_bytes=blob.size_bytes)
        try:
            thing = await self._things.thing(row.account, row.collection, row.thing_id)
        except NotFound:
            return None
        measured = await self._sizing.of_kept(thing, fetch)
        amounts = measured.amounts
        if row.collection == "instances":
            along = {"volumes": row.volumes, "volume_bytes": row.volume_bytes}
            amounts = msgspec.structs.replace(amounts, **along)
        return amounts

    async def _settle(self, row: Row[Any], amounts: Amounts | None) -> None:
        async with self._database.writing() as connection:
            await self._holdings.quotas.alone(connection)
            rows = await self._holdings.of_request(connection, row.account, row.token)
            now = rows.get(row.number)
            # Somebody may have changed it meanwhile.
            if now is None or (now.state, now.kind) != (row.state, row.kind):
                return
            if amounts is None:
                await self._holdings.give_back(connection, [now])
                return
            values = {"kind": row.kind or "", "state": HoldingState.HELD}
            await self._holdings.change(connection, now, amounts, is_checked=False, **values)


def _drift(kind: str, row: Row[Any]) -> Drift:
    return Drift(
        kind=kind,
        tenant=row.tenant,
        account=row.account,
        collection=row.collection,
        thing_id=row.thing_id,
        name=row.name,
    )
