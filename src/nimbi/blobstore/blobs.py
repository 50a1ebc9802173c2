"""Blobs: written in one piece, read, listed, removed."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from nimbi.blobstore.buckets import number_of
from nimbi.blobstore.contents import Contents
from nimbi.blobstore.errors import Conflict, Damaged, Invalid, NotFound
from nimbi.blobstore.facts import Blob, Listing, NewBlob, check_metadata, key
from nimbi.blobstore.index import Index
from nimbi.blobstore.intake import taken_in
from nimbi.blobstore.listing import ONE, blob_of, listing
from nimbi.blobstore.reading import Extent, Reader
from nimbi.blobstore.threads import Threads

LIMITS = (1, 1000)


@dataclass(frozen=True)
class Opened:
    """An open blob: its facts, the part that comes (both ends included), and the bytes.

    `reader` must be read to its end or closed.
    """

    blob: Blob
    first: int
    last: int
    reader: Reader


class Blobs:
    """The blobs of a store, by bucket and name."""

    def __init__(self, index: Index, contents: Contents, threads: Threads) -> None:
        self._index = index
        self._contents = contents
        self._threads = threads

    async def page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        after: str | None = None,
        limit: int = 1000,
    ) -> Listing:
        """Return up to `limit` (1 to 1000) blobs whose names begin with `prefix`, in order.

        Blobs with the delimiter behind the prefix are told by their common prefixes only, each
        once. `after` is the `last` of the page before.
        """
        if not LIMITS[0] <= limit <= LIMITS[1]:
            raise Invalid(f"the limit of a page is {LIMITS[0]} to {LIMITS[1]}, not {limit}")

        def work() -> Listing:
            with self._index.read() as db:
                return listing(db, number_of(db, bucket), prefix, delimiter, after, limit)

        return await self._threads.run(work)

    async def get(self, bucket: str, name: str) -> Blob:
        """Return a blob's facts. Raises NotFound."""

        def work() -> Blob:
            with self._index.read() as db:
                return found(db, number_of(db, bucket), name)

        return await self._threads.run(work)

    async def open(
        self, bucket: str, name: str, first: int | None = None, last: int | None = None
    ) -> Opened:
        """Open a blob, or the part from `first` to `last` (None is the end), both included.

        A negative `first` asks for that many bytes at the end. Raises Invalid for a part that is
        wholly outside.
        """

        def work() -> Opened:
            before: str | None = None
            while True:
                blob, content, start, end, extents = self._extents(bucket, name, first, last)
                try:
                    reader = Reader(self._contents, self._threads, extents)
                except FileNotFoundError:
                    # The blob was replaced between the look at the index and the opening.
                    if content == before:
                        raise Damaged(f"the content of the blob {name!r} is gone") from None
                    before = content
                else:
                    return Opened(blob, start, end, reader)

        return await self._threads.run(work)

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        """Store the content under its name, replacing what was there, metadata too.

        It is seen whole or not at all. Raises Conflict when what it would replace is not what
        `new` expects, Invalid for content that is not of the told size, Full.
        """
        new.check()
        await self._threads.run(lambda: self._expect(new))
        async with taken_in(self._contents, self._threads, chunks, new.size_bytes) as draft:

            def record(db: sqlite3.Connection) -> Blob:
                etag = draft.digest.hex()
                return put(db, new, draft.size_bytes, etag, draft.id, 0)

            def publish() -> Blob:
                return draft.publish(new.size_bytes, lambda: self._index.change(record))

            return await self._threads.run(publish)

    async def set_metadata(self, bucket: str, name: str, metadata: Mapping[str, str]) -> Blob:
        """Replace all metadata; the content and its time stay."""
        check_metadata(metadata)

        def work(db: sqlite3.Connection) -> Blob:
            number = number_of(db, bucket)
            found(db, number, name)
            db.execute(
                "update blob set metadata = ? where bucket = ? and name = ?",
                (_written(metadata), number, key(name)),
            )
            return found(db, number, name)

        return await self._threads.run(lambda: self._index.change(work))

    async def destroy(self, bucket: str, name: str) -> None:
        """Remove a blob; those who read it go on reading. Raises NotFound."""

        def work(db: sqlite3.Connection) -> None:
            number = number_of(db, bucket)
            found(db, number, name)
            _discard(db, number, name)
            db.execute("delete from blob where bucket = ? and name = ?", (number, key(name)))

        await self._threads.run(lambda: self._index.change(work, frees=True))

    async def destroy_many(self, bucket: str, names: Collection[str]) -> None:
        """Remove those of these blobs that are there, all or none. Raises NotFound: the bucket."""

        def work(db: sqlite3.Connection) -> None:
            number = number_of(db, bucket)
            for name in names:
                _discard(db, number, name)
            db.executemany(
                "delete from blob where bucket = ? and name = ?",
                ((number, key(name)) for name in names),
            )

        await self._threads.run(lambda: self._index.change(work, frees=True))

    def _expect(self, new: NewBlob) -> None:
        """Refuse a write that can't succeed before its content comes."""
        with self._index.read() as db:
            check_expected(db, number_of(db, new.bucket), new)

    def _extents(
        self, bucket: str, name: str, first: int | None, last: int | None
    ) -> tuple[Blob, str, int, int, list[Extent]]:
        with self._index.read() as db:
            number = number_of(db, bucket)
            blob = found(db, number, name)
            start, end = _span(blob, first or 0, last)
            if start > end and first is not None:
                raise Invalid(
                    f"the blob {name!r} has {blob.size_bytes} bytes, none in the range asked"
                )
            content, parts = db.execute(
                "select content, parts from blob where bucket = ? and name = ?",
                (number, key(name)),
            ).fetchone()
            if not parts:
                return blob, content, start, end, [Extent(content, start, end - start + 1)]
            rows = db.execute(
                "select file, first, size from part"
                " where content = ? and first <= ? and first + size > ? order by first",
                (content, end, start),
            ).fetchall()
        return blob, content, start, end, [_within(start, end, *row) for row in rows]


def found(db: sqlite3.Connection, bucket: int, name: str) -> Blob:
    """Return a blob's facts. Raises NotFound."""
    row = db.execute(ONE, (bucket, key(name))).fetchone()
    if row is None:
        raise NotFound(f"there is no blob {name!r}")
    return blob_of(row)


def check_expected(db: sqlite3.Connection, bucket: int, new: NewBlob) -> None:
    """Raise Conflict unless what the blob replaces is what is expected there."""
    if not new.is_new and new.expected_etag is None:
        return
    row = db.execute(
        "select etag from blob where bucket = ? and name = ?", (bucket, key(new.name))
    ).fetchone()
    etag = None if row is None else row[0]
    if new.is_new and etag is not None:
        raise Conflict(f"there is a blob {new.name!r} already")
    if new.expected_etag not in {None, etag}:
        raise Conflict(f"the blob {new.name!r} is not the expected one")


def put(
    db: sqlite3.Connection, new: NewBlob, size_bytes: int, etag: str, content: str, parts: int
) -> Blob:
    """Let a name stand for a content, and return the blob; what it stood for becomes garbage."""
    bucket = number_of(db, new.bucket)
    check_expected(db, bucket, new)
    _discard(db, bucket, new.name)
    modified_us = time.time_ns() // 1000
    db.execute(
        "insert into blob values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set"
        " size = excluded.size, etag = excluded.etag, type = excluded.type,"
        " modified_us = excluded.modified_us, metadata = excluded.metadata,"
        " content = excluded.content, parts = excluded.parts",
        (
            bucket,
            key(new.name),
            size_bytes,
            etag,
            new.content_type,
            modified_us,
            _written(new.metadata),
            content,
            parts,
        ),
    )
    told = dict(new.metadata)
    return Blob(new.name, size_bytes, etag, new.content_type, modified_us, told)


def _discard(db: sqlite3.Connection, bucket: int, name: str) -> None:
    """Make garbage of what a name stands for, if for anything."""
    row = db.execute(
        "select content, parts from blob where bucket = ? and name = ?", (bucket, key(name))
    ).fetchone()
    if row is None:
        return
    content, parts = row
    if not parts:
        db.execute("insert into garbage values (?)", (content,))
        return
    db.execute("insert into garbage select file from part where content = ?", (content,))
    db.execute("delete from part where content = ?", (content,))


def _span(blob: Blob, first: int, last: int | None) -> tuple[int, int]:
    end = blob.size_bytes - 1
    if first < 0:
        return max(0, blob.size_bytes + first), end
    return first, end if last is None else min(last, end)


def _within(start: int, end: int, file: str, first: int, size_bytes: int) -> Extent:
    """Return what of a part lies in the asked span."""
    begin = max(start - first, 0)
    return Extent(file, begin, min(end - first + 1, size_bytes) - begin)


def _written(metadata: Mapping[str, str]) -> str | None:
    return json.dumps(dict(metadata)) if metadata else None
