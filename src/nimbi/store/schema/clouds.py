"""What accounts there are, and what each holds."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

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
    # Whose it is: it may be used there and below.
    Column("tenant", Words, nullable=False, server_default="root"),
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
