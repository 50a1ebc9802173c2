"""Accounts that are lent to tenants which they do not belong to."""

from datetime import UTC, datetime

from sqlalchemy import delete, select

from nimbi.model.errors import NotFound
from nimbi.model.people import Lend
from nimbi.store.database import Database
from nimbi.store.moments import moment, stored
from nimbi.store.schema import lends


class LendStore:
    """Which account is lent to which tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, account: str) -> tuple[Lend, ...]:
        """Return to whom an account is lent, the first first."""
        wish = select(lends).where(lends.c.account == account)
        wish = wish.order_by(lends.c.created_us, lends.c.tenant)
        async with self._database.reading() as connection:
            rows = await connection.execute(wish)
            return tuple(
                Lend(account=row.account, tenant=row.tenant, created_at=moment(row.created_us))
                for row in rows
            )

    async def add(self, account: str, tenant: str) -> None:
        """Lend an account; nothing happens when it is lent already."""
        new = self._database.insert(lends).values(
            account=account, tenant=tenant, created_us=stored(datetime.now(UTC))
        )
        async with self._database.writing() as connection:
            await connection.execute(new.on_conflict_do_nothing())

    async def remove(self, account: str, tenant: str) -> None:
        """Lend it no longer. Raises NotFound when it was not lent."""
        here = (lends.c.account == account, lends.c.tenant == tenant)
        async with self._database.writing() as connection:
            gone = await connection.execute(delete(lends).where(*here))
        if not gone.rowcount:
            raise NotFound(f"the account {account!r} is not lent to that tenant")
