"""Add jobs, what they told, and schedules."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# Compares byte by byte on both databases.
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _jobs()
    _schedules()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("title", WORDS, nullable=False),
        sa.Column("user", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("percent", sa.Integer, nullable=False),
        sa.Column("phase", WORDS, nullable=False),
        sa.Column("activity", WORDS, nullable=False),
        sa.Column("estimate_us", sa.BigInteger),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("started_us", sa.BigInteger),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("result", sa.LargeBinary),
        sa.Column("error", sa.LargeBinary),
        sa.Column("slot", WORDS),
        sa.Column("slot_fence", sa.BigInteger),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("key_id", WORDS),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("jobs_by_state", "jobs", ["state", "created_us"])
    op.create_index("jobs_by_time", "jobs", ["created_us", "id"])
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "created_us"])
    op.create_table(
        "job_lines",
        sa.Column("job", WORDS, nullable=False),
        sa.Column("digest", WORDS, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("text", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("job", "digest"),
    )
    op.create_index("job_lines_by_time", "job_lines", ["job", "at_us"])


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("title", WORDS),
        sa.Column("user", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("cron", WORDS),
        sa.Column("time_zone", WORDS, nullable=False),
        sa.Column("at_us", sa.BigInteger),
        sa.Column("late_s", sa.Integer, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("key_id", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_schedules_tenant", "schedules", ["tenant"])
    op.create_index("ix_schedules_next_us", "schedules", ["next_us"])
    op.create_table(
        "firings",
        sa.Column("schedule", WORDS, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("fired_us", sa.BigInteger, nullable=False),
        sa.Column("job", WORDS),
        sa.Column("problem", WORDS),
        sa.PrimaryKeyConstraint("schedule", "due_us"),
    )
