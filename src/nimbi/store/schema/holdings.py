"""Whose things in clouds are, what they count for, and how much each tenant may have."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, text

from nimbi.store.schema.base import METADATA, Words


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


# One row a thing; several things of one request have the same token, and count from 0.
holdings = Table(
    "holdings",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("token", Words, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("tenant", Words, nullable=False),
    # The tenants from the root to its own, each with a slash behind it: `root/a/b/`.
    Column("path", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("job", Words),
    Column("collection", Words, nullable=False),
    Column("thing_id", Words),
    Column("name", Words),
    # The size of an instance, the kind of a volume; None: it is still to be looked up.
    Column("kind", Words),
    Column("state", Words, nullable=False),
    _count("instances"),
    _count("vcpus"),
    _count("memory_mib"),
    _count("volumes"),
    _count("volume_bytes"),
    _count("snapshots"),
    _count("addresses"),
    _count("blob_bytes"),
    # None while no price is known.
    Column("price_hour_micros", BigInteger),
    Column("price_month_micros", BigInteger),
    # How many whole lists did not show it, and when the last of them was asked for.
    Column("missed", Integer, nullable=False, server_default=text("0")),
    Column("missed_us", BigInteger, nullable=False, server_default=text("0")),
    Column("created_us", BigInteger, nullable=False),
    Column("held_us", BigInteger),
    Column("released_us", BigInteger),
    Index("holdings_by_thing", "account", "collection", "thing_id"),
    Index("holdings_by_path", "state", "collection", "path", "thing_id", "account"),
    Index("holdings_by_state", "state", "created_us"),
    Index("holdings_by_job", "job"),
)

# `used` is the sum of what is held and reserved in a tenant and below; `most` None is no limit.
quotas = Table(
    "quotas",
    METADATA,
    Column("tenant", Words, primary_key=True),
    Column("resource", Words, primary_key=True),
    Column("most", BigInteger),
    Column("used", BigInteger, nullable=False),
)

# What a tenant and those below may use of an account; None is no limit.
limits = Table(
    "limits",
    METADATA,
    Column("tenant", Words, primary_key=True),
    Column("account", Words, primary_key=True),
    Column("regions", LargeBinary),
    Column("sizes", LargeBinary),
    Column("price_hour_micros", BigInteger),
)
