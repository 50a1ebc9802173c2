"""Jobs: long work, and what it told."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

jobs = Table(
    "jobs",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("title", Words, nullable=False),
    Column("user", Words, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("owner", LargeBinary, nullable=False),
    Column("state", Words, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("phase", Words, nullable=False),
    Column("activity", Words, nullable=False),
    Column("estimate_us", BigInteger),
    Column("created_us", BigInteger, nullable=False),
    Column("started_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("result", LargeBinary),
    Column("error", LargeBinary),
    # Who does it: the slot, by which holder of it (its lease's fence), and how many took it up.
    Column("slot", Words),
    Column("slot_fence", BigInteger),
    Column("fence", BigInteger, nullable=False),
    # The arguments; None when they were forgotten after the end.
    Column("sealed", LargeBinary),
    Column("key_id", Words),
    Index("jobs_by_state", "state", "created_us"),
    Index("jobs_by_time", "created_us", "id"),
    Index("jobs_by_tenant", "tenant", "created_us"),
)

job_lines = Table(
    "job_lines",
    METADATA,
    Column("job", Words, primary_key=True),
    # Made of the text and how often it was told before: a step that runs again tells nothing new.
    Column("digest", Words, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("text", Words, nullable=False),
    Index("job_lines_by_time", "job", "at_us"),
)
