"""Add health checks, objectives, alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# Compares byte by byte on both databases.
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _checks()
    _alerts()


def _checks() -> None:
    op.create_table(
        "checks",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("instance_id", WORDS, nullable=False),
        sa.Column("wish", sa.LargeBinary, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("since_us", sa.BigInteger),
        sa.Column("checked_us", sa.BigInteger),
        sa.Column("took_us", sa.BigInteger),
        sa.Column("streak", sa.Integer, nullable=False),
        sa.Column("problem", sa.LargeBinary),
        sa.Column("every_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("holder", WORDS),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_checks_next_us", "checks", ["next_us"])
    op.create_index("checks_by_thing", "checks", ["account", "instance_id"])
    op.create_table(
        "check_counts",
        sa.Column("check_id", WORDS, nullable=False),
        sa.Column("grain_us", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("start_us", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("good", sa.BigInteger, nullable=False),
        sa.Column("bad", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("check_id", "grain_us", "start_us"),
    )
    op.create_index("check_counts_by_time", "check_counts", ["grain_us", "start_us"])
    op.create_table(
        "check_actions",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("check_id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("is_started", sa.Boolean, nullable=False),
        sa.Column("problem", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_check_actions_is_started", "check_actions", ["is_started"])
    op.create_index("check_actions_by_time", "check_actions", ["check_id", "at_us"])


def _alerts() -> None:
    op.create_table(
        "objectives",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("wish", sa.LargeBinary, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("holder", WORDS),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_objectives_next_us", "objectives", ["next_us"])
    op.create_table(
        "alerts",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("open_key", WORDS),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("began_us", sa.BigInteger, nullable=False),
        sa.Column("fired_us", sa.BigInteger),
        sa.Column("resolved_us", sa.BigInteger),
        sa.Column("told", WORDS, nullable=False),
        sa.Column("is_untold", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("open_key"),
    )
    op.create_index("ix_alerts_is_untold", "alerts", ["is_untold"])
    op.create_index("alerts_by_time", "alerts", ["began_us", "id"])
    op.create_index("alerts_by_source", "alerts", ["source", "began_us"])
    op.create_table(
        "silences",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("begins_us", sa.BigInteger, nullable=False),
        sa.Column("ends_us", sa.BigInteger, nullable=False),
        sa.Column("comment", WORDS, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_silences_ends_us", "silences", ["ends_us"])
    op.create_table(
        "mails",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("alert_id", WORDS, nullable=False),
        sa.Column("recipient", WORDS, nullable=False),
        sa.Column("subject", WORDS, nullable=False),
        sa.Column("text", WORDS, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("problem", sa.LargeBinary),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("holder", WORDS),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_mails_next_us", "mails", ["next_us"])
