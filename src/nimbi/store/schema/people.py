"""Who may call, and what proves it."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table

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
