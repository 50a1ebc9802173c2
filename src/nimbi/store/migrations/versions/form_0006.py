"""Add usage, prices, bills, budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# Compares byte by byte on both databases.
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _usage()
    _prices()
    _bills()


def _usage() -> None:
    op.create_table(
        "series",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("realm", WORDS, nullable=False),
        sa.Column("vcpus", sa.BigInteger, nullable=False),
        sa.Column("memory_mib", sa.BigInteger, nullable=False),
        sa.Column("tags", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "usage",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("thing_id", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("begin_s", sa.BigInteger, nullable=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("series", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("usage_by_series", "usage", ["series", "begin_s", "until_s", "amount"])
    op.create_index("usage_by_thing", "usage", ["account", "collection", "thing_id", "id"])
    op.create_index("usage_by_end", "usage", ["until_s", "account", "collection", "thing_id"])
    op.create_table(
        "meters",
        sa.Column("name", WORDS, nullable=False),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("usage_id", sa.BigInteger, nullable=False),
        sa.Column("series_id", sa.BigInteger, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _prices() -> None:
    op.create_table(
        "prices",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("meter", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("realm", WORDS, nullable=False),
        sa.Column("amount", WORDS, nullable=False),
        sa.Column("unit", WORDS, nullable=False),
        sa.Column("currency", WORDS, nullable=False),
        sa.Column("from_s", sa.BigInteger, nullable=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("origin", WORDS, nullable=False),
        sa.Column("published_us", sa.BigInteger),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("prices_by_meter", "prices", ["account", "meter", "kind", "realm", "from_s"])


def _bills() -> None:
    op.create_table(
        "bills",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("month", WORDS, nullable=False),
        sa.Column("zone", WORDS, nullable=False),
        sa.Column("currency", WORDS, nullable=False),
        sa.Column("begin_s", sa.BigInteger, nullable=False),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("total", WORDS, nullable=False),
        sa.Column("lines", sa.LargeBinary, nullable=False),
        sa.Column("usage_id", sa.BigInteger, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("bills_by_month", "bills", ["month", "zone", "tenant", "currency"], unique=True)
    op.create_table(
        "budgets",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("owner", WORDS, nullable=False),
        sa.Column("owner_path", WORDS, nullable=False),
        sa.Column("amount", WORDS, nullable=False),
        sa.Column("currency", WORDS, nullable=False),
        sa.Column("zone", WORDS, nullable=False),
        sa.Column("warn_at", sa.LargeBinary, nullable=False),
        sa.Column("stops_launches", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("month", WORDS, nullable=False),
        sa.Column("spent", WORDS, nullable=False),
        sa.Column("spent_us", sa.BigInteger, nullable=False),
        sa.Column("warned", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_budgets_tenant", "budgets", ["tenant"])
