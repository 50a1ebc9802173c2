"""Changes that were seen, and who is told."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

events = Table(
    "events",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("account", Words, nullable=False),
    Column("collection", Words, nullable=False),
    Column("thing_id", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("state", Words),
    Column("body", LargeBinary),
)

counters = Table(
    "counters",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

webhooks = Table(
    "webhooks",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("url", Words, nullable=False),
    Column("accounts", LargeBinary, nullable=False),
    Column("collections", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("delivered_id", BigInteger, nullable=False),
    Column("failing_us", BigInteger),
    Column("problem", LargeBinary),
    Column("sealed", LargeBinary, nullable=False),
    Column("key_id", Words, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Column("holder", Words),
    Column("until_us", BigInteger, nullable=False),
    Column("tenant", Words, nullable=False, server_default="root"),
    # Who made it, and is told no more than it may see; None is the operator.
    Column("owner", LargeBinary),
)
