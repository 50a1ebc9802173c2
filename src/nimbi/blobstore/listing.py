"""Lists of blobs: by prefix, with what a delimiter joins, a page at a time."""

import json
import sqlite3
from collections.abc import Iterable, Iterator

from nimbi.blobstore.facts import Blob, Listing, key

FACTS = "name, size, etag, type, modified_us, metadata"
ONE = f"select {FACTS} from blob where bucket = ? and name = ?"  # noqa: S608  all of it is ours

# No UTF-8 has this byte, so it is beyond all names.
END = b"\xff"

ROWS = f"""
select {FACTS} from blob where bucket = ? and name >= ? and name < ? order by name limit ?
"""  # noqa: S608  all of it is ours


Row = tuple[bytes, int, str, str | None, int, str | None]


def blob_of(row: Row) -> Blob:
    """Return the facts that a row of `FACTS` holds."""
    (blob,) = blobs_of([row])
    return blob


def blobs_of(rows: Iterable[Row]) -> tuple[Blob, ...]:
    """Return the facts of many rows. Lists are long, so no function is called for each."""
    return tuple(
        [
            Blob(str(name, "utf-8"), size, etag, kind, at, json.loads(metadata) if metadata else {})
            for name, size, etag, kind, at, metadata in rows
        ]
    )


def listing(
    db: sqlite3.Connection, bucket: int, prefix: str, delimiter: str, after: str | None, limit: int
) -> Listing:
    """Return up to `limit` blobs and common prefixes together, those after `after`.

    A common prefix ends with the first delimiter behind `prefix`; without one there are none.
    """
    start, cut = key(prefix), key(delimiter)
    if start is None or cut is None:
        return Listing((), (), None)
    end = _successor(start)
    first = start if after is None else _behind(after.encode(), len(start), cut)
    if not cut:
        rows = db.execute(ROWS, (bucket, first, end, limit + 1)).fetchall()
        blobs = blobs_of(rows[:limit])
        return Listing(blobs, (), blobs[-1].name if len(rows) > limit else None)
    return _joined(_entries(db, bucket, first, end, len(start), cut, limit + 1), limit)


def _joined(entries: Iterator[Blob | str], limit: int) -> Listing:
    blobs: list[Blob] = []
    prefixes: list[str] = []
    last = ""
    for entry in entries:
        if len(blobs) + len(prefixes) == limit:
            return Listing(tuple(blobs), tuple(prefixes), last)
        if isinstance(entry, str):
            prefixes.append(entry)
            last = entry
        else:
            blobs.append(entry)
            last = entry.name
    return Listing(tuple(blobs), tuple(prefixes), None)


def _entries(
    db: sqlite3.Connection,
    bucket: int,
    first: bytes,
    end: bytes,
    prefix_bytes: int,
    cut: bytes,
    limit: int,
) -> Iterator[Blob | str]:
    """Yield blobs and common prefixes; the blobs below a prefix are leapt over, not read."""
    while first < end:
        # Rows are made one by one, as they are asked for.
        for row in db.execute(ROWS, (bucket, first, end, limit)):
            common = _common(row[0], prefix_bytes, cut)
            if common is not None:
                yield common.decode()
                first = _successor(common)
                break
            yield blob_of(row)
        else:
            return


def _common(name: bytes, prefix_bytes: int, cut: bytes) -> bytes | None:
    at = name.find(cut, prefix_bytes)
    return None if at < 0 else name[: at + len(cut)]


def _behind(last: bytes, prefix_bytes: int, cut: bytes) -> bytes:
    """Return the first name that can come after the last entry of a page."""
    is_common = bool(cut) and _common(last, prefix_bytes, cut) is not None
    return _successor(last) if is_common else last + b"\0"


def _successor(prefix: bytes) -> bytes:
    """Return what comes just behind all names with this prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else END
