"""Buckets: names under which blobs are kept."""

import hashlib
import sqlite3
import time
from datetime import UTC, datetime

from nimbi.blobstore.errors import Conflict, NotFound
from nimbi.blobstore.facts import Bucket, check_bucket_name, key
from nimbi.blobstore.index import Index
from nimbi.blobstore.threads import Threads

FACTS = "select name, blob_count, created_us from bucket"

DESTROY = (
    "insert into garbage select file from segment"
    " where upload in (select id from upload where bucket = ?)",
    "delete from segment where upload in (select id from upload where bucket = ?)",
    "delete from upload where bucket = ?",
    "delete from bucket where number = ?",
)


class Buckets:
    """The buckets of a store."""

    def __init__(self, index: Index, threads: Threads) -> None:
        self._index = index
        self._threads = threads

    async def all(self) -> list[Bucket]:
        """Return all buckets in the order of their names."""

        def work() -> list[Bucket]:
            with self._index.read() as db:
                return [_bucket(*row) for row in db.execute(f"{FACTS} order by name")]

        return await self._threads.run(work)

    async def get(self, name: str) -> Bucket:
        """Return one bucket. Raises NotFound."""

        def work() -> Bucket:
            with self._index.read() as db:
                return _found(db, name)

        return await self._threads.run(work)

    async def create(self, name: str, token: str | None = None) -> Bucket:
        """Return the new bucket; the same token again gives the same one.

        Raises Conflict when the name is taken, or the token was used for another name.
        """
        check_bucket_name(name)
        told = token_id(token)

        def work(db: sqlite3.Connection) -> Bucket:
            row = db.execute("select name from bucket where token = ?", (told,)).fetchone()
            if row is not None:
                if row[0] != name.encode():
                    raise Conflict("a bucket of another name was made with this token")
                return _found(db, name)
            if db.execute("select 1 from bucket where name = ?", (name.encode(),)).fetchone():
                raise Conflict(f"there is a bucket {name!r} already")
            db.execute(
                "insert into bucket (name, created_us, token) values (?, ?, ?)",
                (name.encode(), time.time_ns() // 1000, told),
            )
            return _found(db, name)

        return await self._threads.run(lambda: self._index.change(work))

    async def destroy(self, name: str) -> None:
        """Remove an empty bucket, with the uploads to it. Raises Conflict when blobs are in it."""

        def work(db: sqlite3.Connection) -> None:
            count = _found(db, name).blob_count
            if count:
                raise Conflict(f"the bucket {name!r} is not empty: it has {count} blobs")
            number = number_of(db, name)
            for statement in DESTROY:
                db.execute(statement, (number,))

        await self._threads.run(lambda: self._index.change(work, frees=True))


def number_of(db: sqlite3.Connection, name: str) -> int:
    """Return the number by which the index knows a bucket. Raises NotFound."""
    row = db.execute("select number from bucket where name = ?", (key(name),)).fetchone()
    if row is None:
        raise NotFound(f"there is no bucket {name!r}")
    number: int = row[0]
    return number


def token_id(token: str | None) -> str | None:
    """Return what is kept of a token: nothing by which it could be used again."""
    if token is None:
        return None
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()[:32]


def _found(db: sqlite3.Connection, name: str) -> Bucket:
    row = db.execute(f"{FACTS} where name = ?", (key(name),)).fetchone()
    if row is None:
        raise NotFound(f"there is no bucket {name!r}")
    return _bucket(*row)


def _bucket(name: bytes, blob_count: int, created_us: int) -> Bucket:
    return Bucket(name.decode(), blob_count, datetime.fromtimestamp(created_us / 1e6, UTC))
