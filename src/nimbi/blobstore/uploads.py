"""Segmented uploads: parts sent in any order, which become one blob without being copied."""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

from nimbi.blobstore.blobs import check_expected, put
from nimbi.blobstore.buckets import number_of, token_id
from nimbi.blobstore.contents import Contents, Draft
from nimbi.blobstore.errors import Conflict, Invalid, NotFound
from nimbi.blobstore.facts import MOST_SEGMENTS, Blob, NewBlob, Segment, Upload, key
from nimbi.blobstore.index import Index
from nimbi.blobstore.intake import taken_in
from nimbi.blobstore.threads import Threads

Kept = dict[int, tuple[str, int, str]]
"""File, size and digest of each segment, by its order."""


class Uploads:
    """The uploads under way; nothing of one can be read before it is finished."""

    def __init__(self, index: Index, contents: Contents, threads: Threads) -> None:
        self._index = index
        self._contents = contents
        self._threads = threads

    async def begin(self, new: NewBlob, token: str | None = None) -> Upload:
        """Begin an upload; `new.size_bytes` is not looked at. The same token gives the same one."""
        new.check()
        upload = Upload(
            id=f"up-{(token_id(token) or secrets.token_hex(16))[:16]}",
            bucket=new.bucket,
            name=new.name,
        )

        def work(db: sqlite3.Connection) -> Upload:
            number = number_of(db, new.bucket)
            check_expected(db, number, new)
            row = db.execute("select bucket, name from upload where id = ?", (upload.id,))
            present = row.fetchone()
            if present not in {None, (number, key(new.name))}:
                raise Conflict("another upload was begun with this token")
            db.execute(
                "insert into upload values (?, ?, ?, ?) on conflict do nothing",
                (upload.id, number, key(new.name), json.dumps(asdict(new))),
            )
            return upload

        return await self._threads.run(lambda: self._index.change(work))

    async def write(
        self,
        upload: Upload,
        order: int,
        chunks: AsyncIterator[bytes],
        size_bytes: int | None = None,
    ) -> Segment:
        """Store one part, 1 to 10000; the same order again replaces it.

        Raises NotFound for an unknown upload, Invalid when the content is not of the told size.
        """
        if not 1 <= order <= MOST_SEGMENTS:
            raise Invalid(f"the order of a segment is 1 to {MOST_SEGMENTS}, not {order}")
        await self._threads.run(lambda: self._check(upload))
        async with taken_in(self._contents, self._threads, chunks, size_bytes) as draft:

            def publish() -> Segment:
                return draft.publish(
                    size_bytes,
                    lambda: self._index.change(lambda db: _keep(db, upload, order, draft)),
                )

            return await self._threads.run(publish)

    async def finish(self, upload: Upload, segments: Sequence[Segment]) -> Blob:
        """Make the blob of these segments, in their order. Raises Invalid for one never given."""
        ordered = sorted(segments, key=lambda segment: segment.order)
        if not ordered or len({segment.order for segment in ordered}) < len(ordered):
            raise Invalid("an upload is finished by one or more segments, each order once")

        def work(db: sqlite3.Connection) -> Blob:
            new = _wish(db, upload)
            kept: Kept = {
                order: (file, size, digest)
                for order, file, size, digest in db.execute(
                    "select ordinal, file, size, digest from segment where upload = ?",
                    (upload.id,),
                )
            }
            for segment in ordered:
                if kept.get(segment.order, ("", 0, ""))[0] != segment.id:
                    raise Invalid(f"the upload has no segment {segment.order} {segment.id!r}")
            return _join(db, new, upload, [kept[segment.order] for segment in ordered])

        return await self._threads.run(lambda: self._index.change(work))

    async def abort(self, upload: Upload) -> None:
        """Forget the upload and its segments. Raises NotFound."""

        def work(db: sqlite3.Connection) -> None:
            _wish(db, upload)
            _forget(db, upload, ())

        await self._threads.run(lambda: self._index.change(work, frees=True))

    def _check(self, upload: Upload) -> None:
        with self._index.read() as db:
            _wish(db, upload)


def _wish(db: sqlite3.Connection, upload: Upload) -> NewBlob:
    """Return what was told of the blob. Raises NotFound unless the upload is under way."""
    found = None
    if key(upload.id) is not None:
        found = db.execute(
            "select wish from upload join bucket on bucket = number"
            " where id = ? and upload.name = ? and bucket.name = ?",
            (upload.id, key(upload.name), key(upload.bucket)),
        ).fetchone()
    if found is None:
        raise NotFound(f"there is no upload {upload.id!r} of this blob")
    return NewBlob(**json.loads(found[0]))


def _keep(db: sqlite3.Connection, upload: Upload, order: int, draft: Draft) -> Segment:
    _wish(db, upload)
    here = (upload.id, order)
    db.execute(
        "insert into garbage select file from segment where upload = ? and ordinal = ?", here
    )
    db.execute(
        "insert or replace into segment values (?, ?, ?, ?, ?)",
        (*here, draft.id, draft.size_bytes, draft.digest.hex()),
    )
    return Segment(order=order, id=draft.id)


def _join(
    db: sqlite3.Connection, new: NewBlob, upload: Upload, kept: Sequence[tuple[str, int, str]]
) -> Blob:
    digest = hashlib.sha256(b"".join(bytes.fromhex(part[2]) for part in kept)).hexdigest()
    used = [(file, size) for file, size, _ in kept if size] or [kept[0][:2]]
    content, first = secrets.token_hex(16), 0
    rows = []
    for file, size in used:
        rows.append((content, first, file, size))
        first += size
    blob = put(db, new, first, f"{digest}-{len(kept)}", content, len(rows))
    db.executemany("insert into part values (?, ?, ?, ?)", rows)
    _forget(db, upload, [file for file, _ in used])
    return blob


def _forget(db: sqlite3.Connection, upload: Upload, used: Sequence[str]) -> None:
    """End an upload. Its segments become garbage, save those that are used from now on."""
    rows = db.execute("select file from segment where upload = ?", (upload.id,)).fetchall()
    left = {file for (file,) in rows} - set(used)
    db.executemany("insert into garbage values (?)", [(file,) for file in left])
    db.execute("delete from segment where upload = ?", (upload.id,))
    db.execute("delete from upload where id = ?", (upload.id,))
