"""The tables. `migrations/` makes them; a test holds both against each other."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

# The newest migration; the database of a running server is at this one.
HEAD = "0001"


def plain(text: str) -> str:
    """Return the text without what PostgreSQL cannot keep: NUL, and halves of characters."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class Words(TypeDecorator[str]):
    """Text that compares byte by byte on both databases; NUL and the like become a stand-in."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return Text(collation="C") if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else plain(value)


METADATA = MetaData()

# Names that end in _us are microseconds since 1970; see moments.py. Columns called `sealed` hold
# what sealing.py made, with the id of its key beside it.

accounts = Table(
    "accounts",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("driver", Words, nullable=False),
    Column("provider", Words),
    Column("own_login", Boolean, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("tags", LargeBinary, nullable=False),
    Column("health", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Column("key_id", Words),
)

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

things = Table(
    "things",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("collection", Words, primary_key=True),
    Column("id", Words, primary_key=True),
    # Empty or 0 where the thing has none: NULL sorts differently on each database.
    Column("name", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("realm_id", Words, nullable=False),
    Column("image_id", Words, nullable=False),
    Column("hardware_profile_id", Words, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("made_here", Boolean, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # A list is read in the order of one of these, so that its first page costs a page.
    Index("things_by_id", "collection", "id", "account"),
    Index("things_by_name", "collection", "name", "account", "id"),
    Index("things_by_creation", "collection", "created_us", "account", "id"),
    Index("things_by_state", "collection", "state", "name", "account", "id"),
    Index("things_by_realm", "collection", "realm_id", "name", "account", "id"),
    Index("things_by_image", "collection", "image_id", "name", "account", "id"),
    Index("things_by_profile", "collection", "hardware_profile_id", "name", "account", "id"),
)

labels = Table(
    "labels",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("collection", Words, primary_key=True),
    Column("id", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("value", Words, nullable=False),
    Index("labels_by_value", "collection", "key", "value", "account", "id"),
)

# What was removed through us: a list that a cloud gave before that does not bring it back.
dropped = Table(
    "dropped",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("collection", Words, primary_key=True),
    Column("id", Words, primary_key=True),
    Column("dropped_us", BigInteger, nullable=False),
)

polls = Table(
    "polls",
    METADATA,
    Column("account", Words, primary_key=True),
    Column("collection", Words, primary_key=True),
    Column("polled_us", BigInteger),
    Column("ok_us", BigInteger),
    Column("problem", LargeBinary),
    Column("complete", Boolean, nullable=False),
    Column("known", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False, index=True),
    Column("interval_us", BigInteger, nullable=False),
)

events = Table(
    "events",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False, index=True),
    Column("account", Words, nullable=False),
    Column("collection", Words, nullable=False),
    Column("thing_id", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("state", Words),
    Column("body", LargeBinary),
)

counters = Table(
    "counters",
    METADATA,
    Column("name", Words, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

webhooks = Table(
    "webhooks",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("url", Words, nullable=False),
    Column("accounts", LargeBinary, nullable=False),
    Column("collections", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("delivered_id", BigInteger, nullable=False),
    Column("failing_us", BigInteger),
    Column("problem", LargeBinary),
    Column("sealed", LargeBinary, nullable=False),
    Column("key_id", Words, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Column("holder", Words),
    Column("until_us", BigInteger, nullable=False),
)

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
