"""Budgets: how much may be spent in a month, and how much it is."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.model.errors import NotFound
from nimbi.model.inventory import EventKind
from nimbi.model.metering import Budget, BudgetChange
from nimbi.store.database import Database
from nimbi.store.events import Change, append
from nimbi.store.moments import moment, stored
from nimbi.store.schema import budgets, tenants

COLLECTION = "budgets"
PERCENTS = msgspec.json.Decoder(tuple[int, ...])


class Kept(NamedTuple):
    """A budget, the path of its tenant and that of the tenant that set it."""

    budget: Budget
    path: str
    owner_path: str


class BudgetStore:
    """The budgets; what is found of one is an event when it is worth a warning."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def path(self, tenant: str) -> str:
        """Return the path of a tenant, told by its id or place, each one between slashes.

        Raises NotFound.
        """
        is_told = or_(tenants.c.id == tenant, tenants.c.place == tenant)
        wish = select(tenants.c.path).where(is_told)
        async with self._database.reading() as connection:
            found = (await connection.execute(wish)).scalar()
        if found is None and tenant != "root":
            raise NotFound(f"there is no domain or project {tenant[:60]!r}")
        return f"/{(found or tenant).strip('/')}/"

    async def add(self, budget: Budget, path: str, owner_path: str) -> None:
        """Keep a new budget."""
        row = {
            "id": budget.id,
            "tenant": budget.tenant,
            "path": path,
            "owner": budget.owner,
            "owner_path": owner_path,
            "amount": f"{budget.amount:f}",
            "currency": budget.currency,
            "zone": budget.zone,
            "warn_at": msgspec.json.encode(budget.warn_at),
            "stops_launches": budget.stops_launches,
            "created_us": stored(budget.created_at),
            "month": "",
            "spent": "0",
            "spent_us": 0,
            "warned": 0,
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(budgets).values(row))
            await _tell(connection, budget, EventKind.APPEARED, budget.created_at)

    async def all(self) -> tuple[Kept, ...]:
        """Return all, the oldest first."""
        wish = select(budgets).order_by(budgets.c.created_us, budgets.c.id)
        async with self._database.reading() as connection:
            return tuple(_kept(row) for row in await connection.execute(wish))

    async def get(self, id: str) -> Kept:
        """Return one. Raises NotFound."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(budgets).where(budgets.c.id == id))).first()
        if row is None:
            raise missing(id)
        return _kept(row)

    async def spent_of(self, tenant: str) -> tuple[Budget, ...]:
        """Return the budgets that stop launches and hold for a tenant: its own, those above it.

        It is asked before each launch, and costs one question.
        """
        async with self._database.reading() as connection:
            return await stopping(connection, tenant)

    async def change(self, id: str, change: BudgetChange, at: datetime) -> Budget:
        """Change one; what is told again from its new limits on. Raises NotFound."""
        values: dict[str, Any] = {"warned": 0}
        if change.amount is not None:
            values["amount"] = f"{change.amount:f}"
        if change.warn_at is not None:
            values["warn_at"] = msgspec.json.encode(change.warn_at)
        if change.stops_launches is not None:
            values["stops_launches"] = change.stops_launches
        return await self._update(id, values, at)

    async def found(self, id: str, month: str, spent: Decimal, warned: int, at: datetime) -> None:
        """Keep what is spent, with an event when `warned` is more than was told in this month."""
        async with self._database.writing() as connection:
            wish = select(budgets).where(budgets.c.id == id).with_for_update()
            row = (await connection.execute(wish)).first()
            if row is None:
                return
            told = row.warned if row.month == month else 0
            values = {
                "month": month,
                "spent": f"{spent:f}",
                "spent_us": stored(at),
                "warned": max(told, warned),
            }
            change = update(budgets).where(budgets.c.id == id).values(values).returning(budgets)
            after = (await connection.execute(change)).one()
            if warned > told:
                await _tell(connection, _kept(after).budget, EventKind.CHANGED, at)

    async def remove(self, id: str, at: datetime) -> None:
        """Forget one. Raises NotFound."""
        async with self._database.writing() as connection:
            gone = delete(budgets).where(budgets.c.id == id).returning(budgets)
            row = (await connection.execute(gone)).first()
            if row is None:
                raise missing(id)
            await _tell(connection, _kept(row).budget, EventKind.VANISHED, at)

    async def _update(self, id: str, values: dict[str, Any], at: datetime) -> Budget:
        change = update(budgets).where(budgets.c.id == id).values(values).returning(budgets)
        async with self._database.writing() as connection:
            row = (await connection.execute(change)).first()
            if row is None:
                raise missing(id)
            budget = _kept(row).budget
            await _tell(connection, budget, EventKind.CHANGED, at)
        return budget


async def stopping(connection: AsyncConnection, tenant: str) -> tuple[Budget, ...]:
    """Return the budgets that stop launches and hold for a tenant, in somebody's transaction."""
    path = (
        await connection.execute(select(tenants.c.path).where(tenants.c.id == tenant))
    ).scalar() or tenant
    wish = select(budgets).where(
        budgets.c.tenant.in_(path.strip("/").split("/")), budgets.c.stops_launches
    )
    return tuple(_kept(row).budget for row in await connection.execute(wish))


def missing(id: str) -> NotFound:
    """Return what is raised when there is no budget of this id."""
    return NotFound(f"there is no budget {id!r}")


async def _tell(connection: AsyncConnection, budget: Budget, kind: EventKind, at: datetime) -> None:
    body = None if kind is EventKind.VANISHED else msgspec.json.encode(budget)
    state = "spent" if budget.is_spent else "warned" if budget.warned else "ok"
    await append(connection, at, [Change("", COLLECTION, budget.id, kind, state, body)])


def _kept(row: Any) -> Kept:
    budget = Budget(
        id=row.id,
        tenant=row.tenant,
        owner=row.owner,
        amount=Decimal(row.amount),
        currency=row.currency,
        zone=row.zone,
        warn_at=PERCENTS.decode(row.warn_at),
        stops_launches=row.stops_launches,
        created_at=moment(row.created_us),
        month=row.month or None,
        spent=Decimal(row.spent),
        spent_at=moment(row.spent_us) if row.spent_us else None,
        warned=row.warned,
    )
    return Kept(budget, row.path, row.owner_path)
