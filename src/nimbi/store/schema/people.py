"""Who may call, what proves it, and what they may do where."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
)

from nimbi.store.schema.base import METADATA, Words

tokens = Table(
    "tokens",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("scopes", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("used_us", BigInteger),
    Column("user_id", Words, nullable=False, server_default="admin"),
    Column("tenant", Words, nullable=False, server_default="root"),
    Index("tokens_by_user", "user_id"),
)

passwords = Table(
    "passwords",
    METADATA,
    Column("person", Words, primary_key=True),
    Column("hash", Words, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)

attempts = Table(
    "attempts",
    METADATA,
    Column("place", Words, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_us", BigInteger, nullable=False, index=True),
)

# The operator, with the id `admin`, and the root domain are always there, and in none of these.
users = Table(
    "users",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("tenant", Words, nullable=False, index=True),
    Column("email", Words),
    Column("is_enabled", Boolean, nullable=False),
    # Of the provider that the user signs in at, if any.
    Column("issuer", Words),
    Column("subject", Words),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("name"),
    UniqueConstraint("issuer", "subject"),
)

user_groups = Table(
    "user_groups",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("tenant", "name"),
)

members = Table(
    "members",
    METADATA,
    Column("group_id", Words, primary_key=True),
    Column("user_id", Words, primary_key=True, index=True),
    # Empty for who was added here, else the issuer that said so.
    Column("source", Words, nullable=False),
)

tenants = Table(
    "tenants",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("parent", Words, nullable=False),
    # Ids from the root domain on, `root/4f2a/9c01`, and names below it, `acme/web`.
    Column("path", Words, nullable=False, unique=True),
    Column("place", Words, nullable=False, unique=True),
    Column("text", Words, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

roles = Table(
    "roles",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("rules", LargeBinary, nullable=False),
    Column("text", Words, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("tenant", "name"),
)

grants = Table(
    "grants",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("role", Words, nullable=False, index=True),
    Column("tenant", Words, nullable=False, index=True),
    # `user` or `group`, and its id.
    Column("holder_kind", Words, nullable=False),
    Column("holder", Words, nullable=False),
    Column("given_by", Words, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("holder_kind", "holder", "tenant", "role"),
)

# Accounts that tenants may use beside those which they and the tenants above them own.
lends = Table(
    "lends",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("tenant", Words, primary_key=True, index=True),
    Column("created_us", BigInteger, nullable=False),
)
