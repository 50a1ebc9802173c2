"""What was used, what it costs, and how much may be spent."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

# Names that end in _s are whole seconds since 1970: intervals that touch share their second's mark,
# so that none is counted twice and none is lost. What has no end yet ends at OPEN_S.
OPEN_S = 2**62

# What many intervals have in common; a month is summed up by these. 0 stands for "not in use".
series = Table(
    "series",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("tenant", Words, nullable=False),
    # The tenants from the root to its own, each between slashes: `/root/a/b/`.
    Column("path", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("collection", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("realm", Words, nullable=False),
    Column("vcpus", BigInteger, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("tags", LargeBinary, nullable=False),
)

# One row a change that was told of a thing, and the interval that began with it. Only `until_s` is
# written later: by the next change of the same thing, from which it can be found again.
usage = Table(
    "usage",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", Words, nullable=False),
    Column("collection", Words, nullable=False),
    Column("thing_id", Words, nullable=False),
    Column("name", Words, nullable=False),
    # When it was told to have happened, whatever clock said so.
    Column("at_us", BigInteger, nullable=False),
    Column("begin_s", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("series", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    # The event that told it; none where the inventory or a measurement did.
    Column("event_id", BigInteger),
    # All that a sum needs: it reads nothing but this.
    Index("usage_by_series", "series", "begin_s", "until_s", "amount"),
    Index("usage_by_thing", "account", "collection", "thing_id", "id"),
    Index("usage_by_end", "until_s", "account", "collection", "thing_id"),
)

meters = Table(
    "meters",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("event_id", BigInteger, nullable=False),
    Column("usage_id", BigInteger, nullable=False),
    Column("series_id", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
)

prices = Table(
    "prices",
    METADATA,
    Column("id", Words, primary_key=True),
    # Empty stands for any.
    Column("account", Words, nullable=False),
    Column("meter", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("realm", Words, nullable=False),
    # A decimal number, digit by digit.
    Column("amount", Words, nullable=False),
    Column("unit", Words, nullable=False),
    Column("currency", Words, nullable=False),
    Column("from_s", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("source", Words, nullable=False),
    Column("origin", Words, nullable=False),
    Column("published_us", BigInteger),
    Column("created_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Index("prices_by_meter", "account", "meter", "kind", "realm", "from_s"),
)

bills = Table(
    "bills",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("tenant", Words, nullable=False),
    Column("path", Words, nullable=False),
    Column("month", Words, nullable=False),
    Column("zone", Words, nullable=False),
    Column("currency", Words, nullable=False),
    Column("begin_s", BigInteger, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("total", Words, nullable=False),
    Column("lines", LargeBinary, nullable=False),
    # The last row of `usage` that it knew.
    Column("usage_id", BigInteger, nullable=False),
    Column("made_us", BigInteger, nullable=False),
    Index("bills_by_month", "month", "zone", "tenant", "currency", unique=True),
)

budgets = Table(
    "budgets",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("tenant", Words, nullable=False, index=True),
    Column("path", Words, nullable=False),
    # Who set it: a tenant that is the same or above.
    Column("owner", Words, nullable=False),
    Column("owner_path", Words, nullable=False),
    Column("amount", Words, nullable=False),
    Column("currency", Words, nullable=False),
    Column("zone", Words, nullable=False),
    Column("warn_at", LargeBinary, nullable=False),
    Column("stops_launches", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # What was found last: in which month, how much, up to which of `warn_at` it was told.
    Column("month", Words, nullable=False),
    Column("spent", Words, nullable=False),
    Column("spent_us", BigInteger, nullable=False),
    Column("warned", Integer, nullable=False),
)
