"""Add what projects hold, their quotas and limits."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# Compares byte by byte on both databases.
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

COUNTED = (
    "instances",
    "vcpus",
    "memory_mib",
    "volumes",
    "volume_bytes",
    "snapshots",
    "addresses",
    "blob_bytes",
)


def upgrade() -> None:
    op.create_table(
        "holdings",
        sa.Column("account", WORDS, nullable=False),
        sa.Column("token", WORDS, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("user", WORDS, nullable=False),
        sa.Column("job", WORDS),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("thing_id", WORDS),
        sa.Column("name", WORDS),
        sa.Column("kind", WORDS),
        sa.Column("state", WORDS, nullable=False),
        *(_number(name, sa.BigInteger) for name in COUNTED),
        sa.Column("price_hour_micros", sa.BigInteger),
        sa.Column("price_month_micros", sa.BigInteger),
        _number("missed", sa.Integer),
        _number("missed_us", sa.BigInteger),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("held_us", sa.BigInteger),
        sa.Column("released_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("account", "token", "number"),
    )
    op.create_index("holdings_by_job", "holdings", ["job"])
    columns = ["state", "collection", "path", "thing_id", "account"]
    op.create_index("holdings_by_path", "holdings", columns)
    op.create_index("holdings_by_state", "holdings", ["state", "created_us"])
    op.create_index("holdings_by_thing", "holdings", ["account", "collection", "thing_id"])
    op.create_table(
        "quotas",
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("resource", WORDS, nullable=False),
        sa.Column("most", sa.BigInteger),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "resource"),
    )
    op.create_table(
        "limits",
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("regions", sa.LargeBinary),
        sa.Column("sizes", sa.LargeBinary),
        sa.Column("price_hour_micros", sa.BigInteger),
        sa.PrimaryKeyConstraint("tenant", "account"),
    )


def _number(name: str, kind: type[sa.Integer]) -> "sa.Column[int]":
    return sa.Column(name, kind, nullable=False, server_default=sa.text("0"))
