"""Add users, groups, tenants, roles."""

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    pass
