"""Sign-ins at another provider that are under way."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from nimbi.store.schema.base import METADATA, Words

sign_ins = Table(
    "sign_ins",
    METADATA,
    # A digest of what a browser or a command brings back, which is kept nowhere.
    Column("id", Words, primary_key=True),
    Column("kind", Words, nullable=False),
    Column("until_us", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)
