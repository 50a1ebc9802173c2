"""Who did what: a chain of entries, and where it ends."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

audit = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("phase", Words, nullable=False),
    # The entry by which this one began, 0 for none.
    Column("began", BigInteger, nullable=False, index=True),
    Column("user", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("token", Words, nullable=False),
    Column("tenant", Words, nullable=False),
    # Ids from the root domain on, each between slashes: those of one domain begin alike.
    Column("owners", Words, nullable=False),
    Column("operation", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("thing", Words, nullable=False),
    Column("result", Words, nullable=False),
    Column("request_id", Words, nullable=False),
    Column("address", Words, nullable=False),
    # JSON, as it was written: the hash is over these bytes.
    Column("details", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Index("audit_by_user", "user", "seq"),
    Index("audit_by_account", "account", "thing", "seq"),
    Index("audit_by_operation", "operation", "seq"),
    Index("audit_by_request", "request_id", "seq"),
)

# One row: the end of the chain, and the last entry that retention has removed.
audit_head = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("anchor_seq", BigInteger, nullable=False),
    Column("anchor_hash", LargeBinary, nullable=False),
)
