"""Add the record of who did what, and sign-ins that are under way."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# Compares byte by byte on both databases.
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("phase", WORDS, nullable=False),
        sa.Column("began", sa.BigInteger, nullable=False),
        sa.Column("user", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("token", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("owners", WORDS, nullable=False),
        sa.Column("operation", WORDS, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("thing", WORDS, nullable=False),
        sa.Column("result", WORDS, nullable=False),
        sa.Column("request_id", WORDS, nullable=False),
        sa.Column("address", WORDS, nullable=False),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_audit_at_us", "audit", ["at_us"])
    op.create_index("ix_audit_began", "audit", ["began"])
    op.create_index("audit_by_user", "audit", ["user", "seq"])
    op.create_index("audit_by_account", "audit", ["account", "thing", "seq"])
    op.create_index("audit_by_operation", "audit", ["operation", "seq"])
    op.create_index("audit_by_request", "audit", ["request_id", "seq"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("anchor_seq", sa.BigInteger, nullable=False),
        sa.Column("anchor_hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_sign_ins_until_us", "sign_ins", ["until_us"])
