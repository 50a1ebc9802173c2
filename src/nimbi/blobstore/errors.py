"""What can go wrong, by code.

BlobstoreError
├── NotFound     not_found   no such bucket, blob or upload
├── Conflict     conflict    the name is taken, the bucket is not empty, the condition does not hold
├── Invalid      invalid     the request cannot be meant
├── Full         capacity    the disk is full; what was there stays as it was
├── Busy         timeout     another process kept the index for too long
└── Damaged      failed      what is on disk is not what was written
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class BlobstoreError(Exception):
    """The root. `code` is stable: act upon it, never upon the text."""

    code: ClassVar[str] = "failed"


class NotFound(BlobstoreError):
    """No bucket, blob or upload has this name."""

    code = "not_found"


class Conflict(BlobstoreError):
    """The name is taken, the bucket is not empty, or the blob is not as the caller expects it."""

    code = "conflict"


class Invalid(BlobstoreError):
    """A value is outside of what is allowed."""

    code = "invalid"


class Full(BlobstoreError):
    """The disk has no room. Nothing was changed."""

    code = "capacity"


class Busy(BlobstoreError):
    """Another process kept the index for too long. Nothing was changed."""

    code = "timeout"


class Damaged(BlobstoreError):
    """The files are not what this program has written."""

    code = "failed"


KINDS: dict[int, tuple[type[BlobstoreError], str]] = {
    sqlite3.SQLITE_FULL: (Full, "the disk is full"),
    sqlite3.SQLITE_BUSY: (Busy, "another process keeps the index of the blobs busy"),
    sqlite3.SQLITE_LOCKED: (Busy, "another process keeps the index of the blobs busy"),
}
"""By the primary result code of SQLite, https://www.sqlite.org/rescode.html."""


@contextmanager
def told() -> Iterator[None]:
    """Turn what SQLite raises into the errors above."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind, text = KINDS.get(code, (Damaged, f"the index of the blobs can't be used: {error}"))
        raise kind(text) from error
