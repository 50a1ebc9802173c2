"""Quotas: how much tenants may have, counted in the transaction that decides."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import QuotaExceeded
from nimbi.model.holdings import MONEY, RESOURCES, TenantQuota, amount_told
from nimbi.store.database import Database
from nimbi.store.schema import holdings, quotas, tenants

# Who decides about a quota waits for those who do, and so each sees what the others have taken.
LOCK = "quotas"
RELEASED = "released"


class Path(NamedTuple):
    """The tenants from the root to one; it is kept with a slash behind each: `root/a/b/`."""

    tenants: tuple[str, ...]

    @classmethod
    def of(cls, stored: str) -> "Path":
        return cls(tuple(stored.split("/")[:-1]))

    @property
    def stored(self) -> str:
        return "".join(f"{tenant}/" for tenant in self.tenants)

    @property
    def tenant(self) -> str:
        return self.tenants[-1]


class Difference(NamedTuple):
    """A quota whose `used` is not what the holdings come to."""

    tenant: str
    resource: str
    used: int
    counted: int


class QuotaStore:
    """The quotas of all tenants, and what counts in them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def alone(self, connection: AsyncConnection) -> None:
        """Let nobody else count until this transaction ends: to be called before any change."""
        await self._database.locked(connection, LOCK)

    async def count(
        self,
        connection: AsyncConnection,
        path: Path,
        more: Mapping[str, int],
        *,
        is_checked: bool = True,
    ) -> None:
        """Count what a tenant gets (or, below zero, gives back), for it and all above.

        Raises QuotaExceeded, when `is_checked` and any of them may not have what it gets; then the
        transaction must not go on.
        """
        wanted = {resource: value for resource, value in more.items() if value}
        if not wanted:
            return
        if is_checked:
            await self._check(connection, path, {r: v for r, v in wanted.items() if v > 0})
        rows = [
            {"tenant": tenant, "resource": resource, "most": None, "used": value}
            for tenant in path.tenants
            for resource, value in wanted.items()
        ]
        new = self._database.insert(quotas)
        change = new.on_conflict_do_update(
            index_elements=[quotas.c.tenant, quotas.c.resource],
            set_={"used": quotas.c.used + new.excluded.used},
        )
        await connection.execute(change, rows)

    async def check(self, path: Path, more: Mapping[str, int]) -> None:
        """Raise QuotaExceeded when a tenant could not get so much now; nothing is taken."""
        async with self._database.reading() as connection:
            await self._check(connection, path, {r: v for r, v in more.items() if v > 0})

    async def _check(
        self, connection: AsyncConnection, path: Path, wanted: Mapping[str, int]
    ) -> None:
        if not wanted:
            return
        wish = select(quotas).where(
            self._database.among(quotas.c.tenant, path.tenants),
            self._database.among(quotas.c.resource, list(wanted)),
            quotas.c.most.is_not(None),
        )
        for row in (await connection.execute(wish)).all():
            more = wanted[row.resource]
            if row.used + more > row.most:
                place = await place_of(connection, row.tenant)
                raise exceeded(row.tenant, place, row.resource, row.most, row.used, more)

    async def of(self, tenants: Sequence[str]) -> tuple[TenantQuota, ...]:
        """Return what is limited or used in these tenants."""
        wish = select(quotas).where(self._database.among(quotas.c.tenant, tenants))
        async with self._database.reading() as connection:
            rows = (await connection.execute(wish)).all()
        order = {resource: at for at, resource in enumerate(RESOURCES)}
        rows = sorted(rows, key=lambda row: (row.tenant, order.get(row.resource, len(order))))
        return tuple(
            TenantQuota(tenant=row.tenant, resource=row.resource, limit=row.most, used=row.used)
            for row in rows
        )

    async def are_limited(self, path: Path, resources: Sequence[str]) -> bool:
        """Return whether a tenant, or one above it, may have only so much of any of these."""
        wish = select(quotas.c.tenant).where(
            self._database.among(quotas.c.tenant, path.tenants),
            self._database.among(quotas.c.resource, resources),
            quotas.c.most.is_not(None),
        )
        async with self._database.reading() as connection:
            return (await connection.execute(wish.limit(1))).first() is not None

    async def unpriced(self, path: Path) -> int:
        """Return how many things of a tenant and those below have no price that is known."""
        last = path.stored[:-1] + "0"
        wish = select(func.count()).where(
            holdings.c.state != RELEASED,
            holdings.c.path >= path.stored,
            holdings.c.path < last,
            (holdings.c.instances > 0) | (holdings.c.volumes > 0),
            holdings.c.price_hour_micros.is_(None),
        )
        async with self._database.reading() as connection:
            return int((await connection.execute(wish)).scalar_one())

    async def limit(self, tenant: str, limits: Mapping[str, int | None]) -> None:
        """Set what a tenant may have; None is no limit. What it has already stays its own."""
        rows = [
            {"tenant": tenant, "resource": resource, "most": most, "used": 0}
            for resource, most in limits.items()
        ]
        new = self._database.insert(quotas)
        change = new.on_conflict_do_update(
            index_elements=[quotas.c.tenant, quotas.c.resource], set_={"most": new.excluded.most}
        )
        async with self._database.writing() as connection:
            await self.alone(connection)
            await connection.execute(change, rows)

    async def moved(self, connection: AsyncConnection, old: str, new: str) -> None:
        """Count what lies below one path below another, as part of the move of a tenant.

        Both are as kept, `root/a/b/`. Raises QuotaExceeded; then the transaction must not go on.
        """
        await self.alone(connection)
        below = holdings.c.path.startswith(old, autoescape=True)
        sums = [func.sum(holdings.c[resource]).label(resource) for resource in RESOURCES]
        wish = select(*sums).where(below, holdings.c.state != RELEASED)
        row = (await connection.execute(wish)).one()
        total = {resource: int(getattr(row, resource) or 0) for resource in RESOURCES}
        before, after = Path.of(old).tenants, Path.of(new).tenants
        # The tenants that are above it in both places have the same as before.
        lost = tuple(tenant for tenant in before if tenant not in after)
        got = tuple(tenant for tenant in after if tenant not in before)
        if lost:
            await self.count(connection, Path(lost), {r: -value for r, value in total.items()})
        if got:
            await self.count(connection, Path(got), total)
        path = literal(new) + func.substr(holdings.c.path, len(old) + 1)
        await connection.execute(update(holdings).where(below).values(path=path))

    async def recount(self, *, mend: bool = False) -> tuple[Difference, ...]:
        """Return where `used` is not the sum of the holdings; set it right when told to."""
        async with self._database.writing() as connection:
            await self.alone(connection)
            counted = await _sums(connection)
            found = []
            for row in (await connection.execute(select(quotas))).all():
                right = counted.pop((row.tenant, row.resource), 0)
                if right != row.used:
                    found.append(Difference(row.tenant, row.resource, row.used, right))
            found += [
                Difference(tenant, resource, 0, right)
                for (tenant, resource), right in counted.items()
                if right
            ]
            if mend:
                await self._mend(connection, found)
        return tuple(sorted(found))

    async def _mend(self, connection: AsyncConnection, found: Iterable[Difference]) -> None:
        for each in found:
            right = {"used": each.counted}
            here = (quotas.c.tenant == each.tenant, quotas.c.resource == each.resource)
            done = await connection.execute(update(quotas).where(*here).values(right))
            if not done.rowcount:
                new = {"tenant": each.tenant, "resource": each.resource, "most": None}
                await connection.execute(quotas.insert().values({**new, **right}))


async def place_of(connection: AsyncConnection, tenant: str) -> str:
    """Return what people call a tenant: its place, or its id when it has none."""
    wish = select(tenants.c.place).where(tenants.c.id == tenant)
    return (await connection.execute(wish)).scalar() or tenant


def exceeded(
    tenant: str, place: str, resource: str, limit: int, used: int, wanted: int
) -> QuotaExceeded:
    """Return the error that says which quota is in the way."""
    return QuotaExceeded(
        f"the quota of {place} is {amount_told(resource, limit)} {MONEY.get(resource, resource)}: "
        f"{amount_told(resource, used)} taken, {amount_told(resource, wanted)} more asked for",
        tenant=tenant,
        resource=resource,
        limit=limit,
        used=used,
        wanted=wanted,
    )


async def _sums(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    """Return what the holdings come to, by tenant and resource."""
    sums = [func.sum(holdings.c[resource]).label(resource) for resource in RESOURCES]
    wish = select(holdings.c.path, *sums).where(holdings.c.state != RELEASED)
    found: dict[tuple[str, str], int] = {}
    for row in await connection.execute(wish.group_by(holdings.c.path)):
        for tenant in Path.of(row.path).tenants:
            for resource in RESOURCES:
                if value := int(getattr(row, resource) or 0):
                    found[tenant, resource] = found.get((tenant, resource), 0) + value
    return found
