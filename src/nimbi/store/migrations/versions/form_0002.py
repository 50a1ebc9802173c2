"""Add users, groups, tenants, roles."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Compares byte by byte on both databases.
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _people()
    _tenants()
    _roles()
    # What there is already belongs to the operator, and to the root domain.
    op.add_column("tokens", sa.Column("user_id", WORDS, nullable=False, server_default="admin"))
    op.add_column("tokens", sa.Column("tenant", WORDS, nullable=False, server_default="root"))
    op.create_index("tokens_by_user", "tokens", ["user_id"])
    op.add_column("accounts", sa.Column("tenant", WORDS, nullable=False, server_default="root"))
    op.add_column("webhooks", sa.Column("tenant", WORDS, nullable=False, server_default="root"))
    op.add_column("webhooks", sa.Column("owner", sa.LargeBinary))


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("email", WORDS),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("issuer", WORDS),
        sa.Column("subject", WORDS),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("issuer", "subject"),
    )
    op.create_index("ix_users_tenant", "users", ["tenant"])
    op.create_table(
        "user_groups",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "name"),
    )
    op.create_table(
        "members",
        sa.Column("group_id", WORDS, nullable=False),
        sa.Column("user_id", WORDS, nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id"),
    )
    op.create_index("ix_members_user_id", "members", ["user_id"])


def _tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("parent", WORDS, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("place", WORDS, nullable=False),
        sa.Column("text", WORDS, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
        sa.UniqueConstraint("place"),
    )
    op.create_table(
        "lends",
        sa.Column("account", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", "tenant"),
    )
    op.create_index("ix_lends_tenant", "lends", ["tenant"])


def _roles() -> None:
    op.create_table(
        "roles",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("rules", sa.LargeBinary, nullable=False),
        sa.Column("text", WORDS, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "name"),
    )
    op.create_table(
        "grants",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("role", WORDS, nullable=False),
        sa.Column("tenant", WORDS, nullable=False),
        sa.Column("holder_kind", WORDS, nullable=False),
        sa.Column("holder", WORDS, nullable=False),
        sa.Column("given_by", WORDS, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("holder_kind", "holder", "tenant", "role"),
    )
    op.create_index("ix_grants_role", "grants", ["role"])
    op.create_index("ix_grants_tenant", "grants", ["tenant"])
