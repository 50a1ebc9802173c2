"""What is under way: answers, intents, leases."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

answers = Table(
    "answers",
    METADATA,
    Column("owner", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("begun_us", BigInteger, nullable=False, index=True),
    Column("holder", Words),
    Column("until_us", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Column("key_id", Words),
)

intents = Table(
    "intents",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("token", Words, primary_key=True),
    Column("operation", Words, nullable=False),
    Column("collection", Words, nullable=False),
    Column("name", Words),
    Column("begun_us", BigInteger, nullable=False),
    Column("holder", Words),
    Column("until_us", BigInteger, nullable=False),
    Column("thing_id", Words),
    Column("is_done", Boolean, nullable=False),
    Index("intents_by_time", "is_done", "until_us"),
    Index("intents_by_thing", "account", "collection", "thing_id"),
)

leases = Table(
    "leases",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("until_us", BigInteger, nullable=False),
)
