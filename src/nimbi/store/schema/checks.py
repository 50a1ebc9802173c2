"""Whether things answer, how well they are meant to, and who is told when they do not."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

checks = Table(
    "checks",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("tenant", Words, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("name", Words, nullable=False),
    Column("account", Words, nullable=False),
    # Empty for a check on the account itself.
    Column("instance_id", Words, nullable=False),
    Column("wish", LargeBinary, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("state", Words, nullable=False),
    Column("since_us", BigInteger),
    Column("checked_us", BigInteger),
    Column("took_us", BigInteger),
    # How many results in a row were other than the state.
    Column("streak", Integer, nullable=False),
    Column("problem", LargeBinary),
    Column("every_us", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False, index=True),
    Column("holder", Words),
    Column("until_us", BigInteger, nullable=False),
    Index("checks_by_thing", "account", "instance_id"),
)

# How many results were good and bad, by the minute and by the hour.
check_counts = Table(
    "check_counts",
    METADATA,
    Column("check_id", Words, primary_key=True),
    Column("grain_us", BigInteger, primary_key=True, autoincrement=False),
    Column("start_us", BigInteger, primary_key=True, autoincrement=False),
    Column("good", BigInteger, nullable=False),
    Column("bad", BigInteger, nullable=False),
    Index("check_counts_by_time", "grain_us", "start_us"),
)

# What was done for things that do not answer; `id` is that of the job.
check_actions = Table(
    "check_actions",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("check_id", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("is_started", Boolean, nullable=False, index=True),
    Column("problem", LargeBinary),
    Index("check_actions_by_time", "check_id", "at_us"),
)

objectives = Table(
    "objectives",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("tenant", Words, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("name", Words, nullable=False),
    Column("wish", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False, index=True),
    Column("holder", Words),
    Column("until_us", BigInteger, nullable=False),
)

alerts = Table(
    "alerts",
    METADATA,
    Column("id", Words, primary_key=True),
    # What it is about, while it is not over; so there is one at a time.
    Column("open_key", Words, unique=True),
    Column("tenant", Words, nullable=False),
    Column("source", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("began_us", BigInteger, nullable=False),
    Column("fired_us", BigInteger),
    Column("resolved_us", BigInteger),
    # The state of which people were told last, empty before.
    Column("told", Words, nullable=False),
    Column("is_untold", Boolean, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
    Index("alerts_by_time", "began_us", "id"),
    Index("alerts_by_source", "source", "began_us"),
)

silences = Table(
    "silences",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("tenant", Words, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    # Empty for all.
    Column("account", Words, nullable=False),
    Column("source", Words, nullable=False),
    Column("begins_us", BigInteger, nullable=False),
    Column("ends_us", BigInteger, nullable=False, index=True),
    Column("comment", Words, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

mails = Table(
    "mails",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("alert_id", Words, nullable=False),
    Column("recipient", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("text", Words, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", LargeBinary),
    Column("next_us", BigInteger, nullable=False, index=True),
    Column("holder", Words),
    Column("until_us", BigInteger, nullable=False),
)
