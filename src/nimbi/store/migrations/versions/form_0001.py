"""The first form: accounts, people, the inventory, events, webhooks, answers, leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Compares byte by byte on both databases.
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _accounts_and_people()
    _inventory()
    _events_and_webhooks()
    _requests()


def _accounts_and_people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("driver", WORDS, nullable=False),
        sa.Column("provider", WORDS),
        sa.Column("own_login", sa.Boolean, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("tags", sa.LargeBinary, nullable=False),
        sa.Column("health", sa.LargeBinary, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("key_id", WORDS),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("scopes", sa.LargeBinary, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("expires_us", sa.BigInteger),
        sa.Column("used_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "passwords",
        sa.Column("person", WORDS, nullable=False),
        sa.Column("hash", WORDS, nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("person"),
    )
    op.create_table(
        "attempts",
        sa.Column("place", WORDS, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_index("ix_attempts_last_us", "attempts", ["last_us"])


def _inventory() -> None:
    op.create_table(
        "things",
        sa.Column("account", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("id", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("realm_id", WORDS, nullable=False),
        sa.Column("image_id", WORDS, nullable=False),
        sa.Column("hardware_profile_id", WORDS, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("made_here", sa.Boolean, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("account", "collection", "id"),
    )
    op.create_index("things_by_creation", "things", ["collection", "created_us", "account", "id"])
    op.create_index("things_by_id", "things", ["collection", "id", "account"])
    op.create_index(
        "things_by_image", "things", ["collection", "image_id", "name", "account", "id"]
    )
    op.create_index("things_by_name", "things", ["collection", "name", "account", "id"])
    op.create_index(
        "things_by_profile",
        "things",
        ["collection", "hardware_profile_id", "name", "account", "id"],
    )
    op.create_index(
        "things_by_realm", "things", ["collection", "realm_id", "name", "account", "id"]
    )
    op.create_index("things_by_state", "things", ["collection", "state", "name", "account", "id"])
    op.create_table(
        "labels",
        sa.Column("account", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("id", WORDS, nullable=False),
        sa.Column("key", WORDS, nullable=False),
        sa.Column("value", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("account", "collection", "id", "key"),
    )
    op.create_index("labels_by_value", "labels", ["collection", "key", "value", "account", "id"])
    op.create_table(
        "dropped",
        sa.Column("account", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("id", WORDS, nullable=False),
        sa.Column("dropped_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", "collection", "id"),
    )
    op.create_table(
        "polls",
        sa.Column("account", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("polled_us", sa.BigInteger),
        sa.Column("ok_us", sa.BigInteger),
        sa.Column("problem", sa.LargeBinary),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("known", sa.BigInteger, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("interval_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", "collection"),
    )
    op.create_index("ix_polls_next_us", "polls", ["next_us"])


def _events_and_webhooks() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("account", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("thing_id", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("state", WORDS),
        sa.Column("body", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_events_at_us", "events", ["at_us"])
    op.create_table(
        "counters",
        sa.Column("name", WORDS, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", WORDS, nullable=False),
        sa.Column("url", WORDS, nullable=False),
        sa.Column("accounts", sa.LargeBinary, nullable=False),
        sa.Column("collections", sa.LargeBinary, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("delivered_id", sa.BigInteger, nullable=False),
        sa.Column("failing_us", sa.BigInteger),
        sa.Column("problem", sa.LargeBinary),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("key_id", WORDS, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_us", sa.BigInteger, nullable=False),
        sa.Column("holder", WORDS),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("insert into counters (name, value) values ('events', 0)")


def _requests() -> None:
    op.create_table(
        "answers",
        sa.Column("owner", WORDS, nullable=False),
        sa.Column("key", WORDS, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("begun_us", sa.BigInteger, nullable=False),
        sa.Column("holder", WORDS),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("key_id", WORDS),
        sa.PrimaryKeyConstraint("owner", "key"),
    )
    op.create_index("ix_answers_begun_us", "answers", ["begun_us"])
    op.create_table(
        "intents",
        sa.Column("account", WORDS, nullable=False),
        sa.Column("token", WORDS, nullable=False),
        sa.Column("operation", WORDS, nullable=False),
        sa.Column("collection", WORDS, nullable=False),
        sa.Column("name", WORDS),
        sa.Column("begun_us", sa.BigInteger, nullable=False),
        sa.Column("holder", WORDS),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("thing_id", WORDS),
        sa.Column("is_done", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("account", "token"),
    )
    op.create_index("intents_by_thing", "intents", ["account", "collection", "thing_id"])
    op.create_index("intents_by_time", "intents", ["is_done", "until_us"])
    op.create_table(
        "leases",
        sa.Column("name", WORDS, nullable=False),
        sa.Column("holder", WORDS, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
