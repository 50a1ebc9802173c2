"""Bringing a database to the newest form: Alembic, run from the package and without a file."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.store.errors import NewerSchema
from nimbi.store.schema import HEAD

MIGRATIONS = Path(__file__).with_name("migrations")


async def upgraded(connection: AsyncConnection, where: str) -> bool:
    """Bring the database to the newest form in the connection's transaction.

    The caller sees to it that nobody else writes meanwhile. Returns whether there was anything
    to do. Raises NewerSchema.
    """
    found = await connection.run_sync(version)
    if found == HEAD:
        return False
    # Imported only now: it is slow, and nearly always there is nothing to do.
    from nimbi.store.migrations.run import known, upgrade

    if found is not None and found not in known(MIGRATIONS):
        raise NewerSchema(
            f"{where}: a newer Nimbi made this database (form {found}, and this one knows {HEAD}); "
            "run that one, or restore a backup from before"
        )
    await connection.run_sync(upgrade, MIGRATIONS)
    return True


def version(connection: Connection) -> str | None:
    """Return the form of a database, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()
