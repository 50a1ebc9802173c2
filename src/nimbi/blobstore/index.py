"""The index: one SQLite database that says which blobs there are, shared by several processes."""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

from nimbi.blobstore.contents import Contents
from nimbi.blobstore.errors import Damaged, Full, told

T = TypeVar("T")

VERSION = 1

# Names are kept as UTF-8 in blobs: those compare byte by byte, and may hold any character.
SCHEMA = """
create table bucket (
    number integer primary key,
    name blob not null unique,
    blob_count integer not null default 0,
    created_us integer not null,
    token text
) strict;
create table blob (
    bucket integer not null,
    name blob not null,
    size integer not null,
    etag text not null,
    type text,
    modified_us integer not null,
    metadata text,
    content text not null,
    parts integer not null,
    primary key (bucket, name)
) strict, without rowid;
create table part (
    content text not null,
    first integer not null,
    file text not null,
    size integer not null,
    primary key (content, first)
) strict, without rowid;
create table upload (
    id text primary key,
    bucket integer not null,
    name blob not null,
    wish text not null
) strict, without rowid;
create table segment (
    upload text not null,
    ordinal integer not null,
    file text not null,
    size integer not null,
    digest text not null,
    primary key (upload, ordinal)
) strict, without rowid;
create table garbage (file text primary key) strict, without rowid;
create trigger came after insert on blob begin
    update bucket set blob_count = blob_count + 1 where number = new.bucket;
end;
create trigger went after delete on blob begin
    update bucket set blob_count = blob_count - 1 where number = old.bucket;
end;
"""
"""`blob.content` is the id of the file, or of its parts when `blob.parts` is not 0."""

# Full: what was answered survives a power cut. Readers never wait for writers, nor these for them.
PRAGMAS = ("journal_mode = wal", "synchronous = full", "cache_size = -8192")
BUSY_S = 60.0
# Space that is given up so that a full disk takes the few pages by which something is removed.
RESERVE_BYTES = 512 * 1024

# No index leads from a content to its blob: each write would pay for what only a crash needs.
NAMED = """
select content from blob where parts = 0
union all select file from part
union all select file from segment
"""


class Index:
    """The database, and the removal of contents that it has ceased to name."""

    def __init__(self, root: Path, contents: Contents) -> None:
        self._path = root / "index.db"
        self._reserve = root / "reserve"
        self._contents = contents
        self._readers: list[sqlite3.Connection] = []
        self._removed: set[str] = set()
        self._turn = Lock()
        with told():
            self._writer = self._connected()
            self._make()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the index all along."""
        with told():
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = self._connected()
            try:
                reader.execute("begin")
                yield reader
            finally:
                if reader.in_transaction:
                    reader.execute("rollback")
                self._readers.append(reader)

    def change(self, work: Callable[[sqlite3.Connection], T], *, frees: bool = False) -> T:
        """Return what `work` returns, once its changes are on the disk; all of them or none.

        Contents that are garbage then are removed. What `frees` space works on a full disk too.
        """
        try:
            return self._changed(work)
        except Full:
            if not frees:
                raise
        self._reserve.unlink(missing_ok=True)
        try:
            return self._changed(work)
        finally:
            with suppress(OSError):
                self._reserve.write_bytes(bytes(RESERVE_BYTES))

    def named(self, ids: Collection[str]) -> set[str]:
        """Return those of the contents that are named. It reads all of the index."""
        wanted = set(ids)
        with self.read() as db:
            return {id for (id,) in db.execute(NAMED) if id in wanted}

    def sweep(self) -> None:
        """Remove what is garbage, whoever left it; on a full disk some may stay."""
        with suppress(Full):
            self.change(lambda _db: None)
            self.change(lambda _db: None, frees=True)

    def close(self) -> None:
        with suppress(Exception):
            if self._removed:
                self.change(lambda _db: None)
        for connection in (*self._readers, self._writer):
            connection.close()

    def _changed(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._turn, told():
            db = self._writer
            db.execute("begin immediate")
            try:
                db.executemany("delete from garbage where file = ?", [(f,) for f in self._removed])
                made = work(db)
                garbage = [file for (file,) in db.execute("select file from garbage")]
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise
            self._removed.clear()
        # The change is made, so nothing may fail from here on; what stays is swept another time.
        with suppress(OSError):
            self._contents.remove(garbage)
            with self._turn:
                self._removed.update(garbage)
        return made

    def _connected(self) -> sqlite3.Connection:
        # Each connection is used by one thread at a time, not always by the same.
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        for pragma in PRAGMAS:
            connection.execute(f"pragma {pragma}")
        return connection

    def _make(self) -> None:
        (version,) = self._writer.execute("pragma user_version").fetchone()
        if version > VERSION:
            raise Damaged(f"the index of the blobs was made by a newer program (form {version})")
        if version == 0:
            self._writer.executescript(
                f"begin immediate; {SCHEMA} pragma user_version = {VERSION}; commit;"
            )
        if not self._reserve.exists():
            with suppress(OSError):
                self._reserve.write_bytes(bytes(RESERVE_BYTES))
