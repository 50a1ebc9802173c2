"""Leases: of several processes, the one that does a piece of work, until it stops renewing."""

from sqlalchemy import delete, update

from nimbi.store.database import Database
from nimbi.store.moments import micro
from nimbi.store.schema import leases


class LeaseStore:
    """Leases by name, all by one clock. `holder` names a process, anew at each start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, holder: str, seconds: float) -> int | None:
        """Take a lease that is free or has run out; return its fence, None when it is held.

        The fence grows with each that takes the lease: what carries an older one is refused.
        """
        now = self._database.now_us()
        until = now + micro(seconds)
        new = self._database.insert(leases).values(
            name=name, holder=holder, fence=1, until_us=until
        )
        taken = new.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"holder": holder, "fence": leases.c.fence + 1, "until_us": until},
            where=leases.c.until_us <= now,
        ).returning(leases.c.fence)
        async with self._database.writing() as connection:
            fence = (await connection.execute(taken)).scalar()
        return None if fence is None else int(fence)

    async def keep(self, name: str, holder: str, fence: int, seconds: float) -> bool:
        """Hold a lease for so many seconds from now; False when somebody else has taken it.

        It may have run out, as long as nobody took it.
        """
        return await self._set(name, holder, fence, seconds)

    async def release(self, name: str, holder: str, fence: int) -> bool:
        """Give a lease back, so that others need not wait; False when it was lost before."""
        return await self._set(name, holder, fence, 0)

    async def drop(self, name: str, holder: str) -> None:
        """Take away a lease that only this holder would ever take, and its fence with it."""
        gone = delete(leases).where(leases.c.name == name, leases.c.holder == holder)
        async with self._database.writing() as connection:
            await connection.execute(gone)

    async def drop_lost(self, prefix: str) -> tuple[str, ...]:
        """Take away the leases with such names that have run out; return their names.

        Of several processes that do this at the same moment one gets each name.
        """
        lost = delete(leases).where(
            leases.c.name.startswith(prefix, autoescape=True),
            leases.c.until_us <= self._database.now_us(),
        )
        async with self._database.writing() as connection:
            gone = await connection.execute(lost.returning(leases.c.name))
            return tuple(row.name for row in gone)

    async def held(self, prefix: str = "") -> dict[str, str]:
        """Return who holds which leases now, of those whose names begin so."""
        wish = leases.select().where(leases.c.until_us > self._database.now_us())
        if prefix:
            wish = wish.where(leases.c.name.startswith(prefix, autoescape=True))
        async with self._database.reading() as connection:
            return {row.name: row.holder for row in await connection.execute(wish)}

    async def _set(self, name: str, holder: str, fence: int, seconds: float) -> bool:
        change = update(leases).where(
            leases.c.name == name, leases.c.holder == holder, leases.c.fence == fence
        )
        until = self._database.now_us() + micro(seconds)
        async with self._database.writing() as connection:
            done = await connection.execute(change.values(until_us=until))
        return done.rowcount == 1
