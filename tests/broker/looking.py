"""A look at a cloud as the poller has it, an hour later."""

from sqlalchemy import update

from nimbi.broker.site import Broker
from nimbi.store.reconciliation import MISSES
from nimbi.store.schema import holdings, intents, things

HOUR_US = 3_600_000_000
AGED = (
    (intents, ("begun_us", "until_us")),
    (holdings, ("created_us", "held_us")),
    (things, ("seen_us",)),
)


async def look_later(broker: Broker, account: str) -> None:
    """Let an hour pass, and ask for so many lists that what is gone counts as gone."""
    for table, columns in AGED:
        values = {name: table.c[name] - HOUR_US for name in columns}
        async with broker.database.writing() as connection:
            await connection.execute(update(table).values(values))
    for _ in range(MISSES + 1):
        for collection in ("instances", "volumes"):
            assert await broker.inventory._poller._poll(account, collection) is None
