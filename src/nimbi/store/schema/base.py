"""What all tables are made of."""

from typing import Any

from sqlalchemy import Dialect, MetaData, Text, TypeDecorator

# The newest migration; the database of a running server is at this one.
HEAD = "0007"


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
