"""Schedules: when jobs begin by themselves, and which began."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

schedules = Table(
    "schedules",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("title", Words),
    Column("user", Words, nullable=False),
    Column("tenant", Words, nullable=False, index=True),
    Column("owner", LargeBinary, nullable=False),
    Column("cron", Words),
    Column("time_zone", Words, nullable=False),
    Column("at_us", BigInteger),
    Column("late_s", Integer, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    # None when it is never due again, or not enabled.
    Column("next_us", BigInteger, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("key_id", Words, nullable=False),
)

# A row for each due time that counted: it has one job, whichever process was first.
firings = Table(
    "firings",
    METADATA,
    Column("schedule", Words, primary_key=True),
    Column("due_us", BigInteger, primary_key=True),
    Column("fired_us", BigInteger, nullable=False),
    # None when it was left out; then `problem` says why.
    Column("job", Words),
    Column("problem", Words),
)
