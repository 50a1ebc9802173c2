"""The job that copies a blob from cloud to cloud, part by part."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from nimbi.broker.work.ground import PASSING, WorkGround
from nimbi.broker.work.streams import Stored, Streams
from nimbi.driver.blobs import Blobs
from nimbi.jobs import JobCancelled, Kind, Work
from nimbi.jobs.results import error_of
from nimbi.model.accounts import Problem
from nimbi.model.buckets import Blob, BlobPlace, ByteRange, NewBlob, Segment, Upload
from nimbi.model.errors import CloudError, NotFound
from nimbi.model.work import BlobAt, Copied, CopyBlob

R = TypeVar("R")

MOST_PARTS = 10_000
# Parts on their way at the same time.
PARTS_AT_ONCE = 4
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The source as it was found, and what is at the target before: its etag, None for nothing."""

    size_bytes: int
    etag: str | None
    content_type: str | None
    metadata: Mapping[str, str]
    is_there: bool
    by_cloud: bool
    in_parts: bool


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a part: what was stored, or why not."""

    stored: Stored | None = None
    problem: Problem | None = None


def _title(copy: CopyBlob) -> str:
    ends = (f"{at.account}:{at.bucket}/{at.id}" for at in (copy.source, copy.target))
    return "copy " + " to ".join(ends)


def kind(ground: WorkGround) -> Kind[CopyBlob, Copied]:
    """Return the kind of job."""

    async def run(work: Work, copy: CopyBlob) -> Copied:
        return await _Copy(ground, work, copy).run()

    text = "Copy a blob from cloud to cloud; parts come once."
    return Kind("copy-blob", CopyBlob, run, text, title=_title)


class _Copy:
    """One copy under way."""

    def __init__(self, ground: WorkGround, work: Work, copy: CopyBlob) -> None:
        self._ground = ground
        self._work = work
        self._copy = copy
        self._streams = Streams(ground, work, copy)
        self._new = NewBlob(bucket_id=copy.target.bucket, id=copy.target.id)
        self._facts: Facts | None = None
        # Whether an upload may be under way, and whether the target may be written already.
        self._has_upload = False
        self._upload: Upload | None = None
        self._is_written = False

    async def run(self) -> Copied:
        try:
            return await self._run()
        except JobCancelled:
            await self._undo()
            raise
        except CloudError:
            if self._has_upload:
                await self._undo()
            raise

    async def _run(self) -> Copied:
        await self._work.progress(0, "looking")
        facts = self._facts = await self._patiently("look", self._look, type=Facts)
        self._new = msgspec.structs.replace(
            self._new,
            size_bytes=facts.size_bytes,
            content_type=facts.content_type,
            metadata=facts.metadata,
            token=self._work.token("blob"),
        )
        if facts.by_cloud:
            self._is_written = True
            made = await self._patiently("copy", self._copy_there, type=Stored)
            return self._copied(facts, 1, made, verified=False)
        if facts.in_parts:
            return await self._in_parts(facts)
        self._is_written = True
        stored = await self._patiently("store", self._store, type=Stored)
        await self._verify([(None, stored)], facts, stored.id)
        return self._copied(facts, 1, stored, verified=self._copy.verify)

    async def _in_parts(self, facts: Facts) -> Copied:
        size = max(self._copy.part_bytes, -(-facts.size_bytes // MOST_PARTS))
        starts = range(0, facts.size_bytes, size)
        ranges = [ByteRange(at, min(at + size, facts.size_bytes) - 1) for at in starts]
        self._has_upload = True
        upload = self._upload = await self._patiently("begin", self._begin, type=Upload)
        stored = await self._store_parts(upload, ranges, facts)
        await self._work.progress(80, "finishing", "the parts become one")
        segments = tuple(Segment(order=n, id=one.id or "") for n, one in enumerate(stored, 1))
        self._is_written = True
        made = await self._patiently("finish", self._finish, upload, segments, type=Stored)
        self._has_upload = False
        await self._verify(list(zip(ranges, stored, strict=True)), facts, made.id)
        digests = bytes.fromhex("".join(one.sha256 or "" for one in stored))
        made = Stored(id=made.id, sha256=hashlib.sha256(digests).hexdigest())
        return self._copied(facts, len(ranges), made, verified=self._copy.verify)

    async def _store_parts(
        self, upload: Upload, ranges: Sequence[ByteRange], facts: Facts
    ) -> list[Stored]:
        """Store all parts, some at once; of those whose fault passes, until it has passed."""
        done: dict[int, Stored] = {}
        for pause_s in (*PAUSES_S, None):
            left = [order for order in range(1, len(ranges) + 1) if order not in done]
            problem: Problem | None = None
            for at in range(0, len(left), PARTS_AT_ONCE):
                some = left[at : at + PARTS_AT_ONCE]
                parts = await asyncio.gather(
                    *(
                        self._work.step(
                            "part",
                            self._part,
                            upload,
                            order,
                            ranges[order - 1],
                            facts.etag,
                            type=Part,
                        )
                        for order in some
                    )
                )
                for order, part in zip(some, parts, strict=True):
                    if part.stored is not None:
                        done[order] = part.stored
                    problem = problem or part.problem
                    if part.problem is not None and part.problem.code not in PASSING:
                        raise error_of(part.problem)
                told = f"{len(done)} of {len(ranges)} parts are stored"
                await self._work.progress(5 + 75 * len(done) // len(ranges), "copying", told)
            if problem is None:
                break
            if pause_s is None:
                raise error_of(problem)
            await self._work.sleep(max(pause_s, min(problem.retry_after_s or 0, 60)))
        return [done[order] for order in range(1, len(ranges) + 1)]

    async def _verify(
        self, parts: Sequence[tuple[ByteRange | None, Stored]], facts: Facts, etag: str | None
    ) -> None:
        """Read again what has arrived. Raises CloudError when it is not what was sent."""
        if not self._copy.verify:
            return
        for number, (part, stored) in enumerate(parts):
            told = f"{number} of {len(parts)} parts are compared"
            await self._work.progress(82 + 17 * number // len(parts), "verifying", told)
            if facts.size_bytes == 0:
                continue
            found = await self._patiently("verify", self._streams.digest, part, etag, type=str)
            if found != stored.sha256:
                await self._undo()
                raise CloudError("what has arrived is not what was sent")

    async def _patiently(
        self, name: str, function: Callable[..., Awaitable[R]], *args: object, type: type[R]
    ) -> R:
        """Return what a step returns; faults that pass are waited out."""
        for pause_s in (*PAUSES_S, None):
            try:
                return await self._work.step(name, function, *args, type=type)
            except CloudError as error:
                if pause_s is None or error.code not in PASSING:
                    raise
                await self._work.sleep(pause_s)
        raise AssertionError  # pragma: no cover

    async def _look(self) -> Facts:
        source, target = self._copy.source, self._copy.target
        async with self._ground.cloud(self._work, source.account) as cloud:
            blob = await cloud.blobs.get(source.bucket, source.id)
            by_cloud = source.account == target.account and cloud.supports(Blobs.copy)
        async with self._ground.cloud(self._work, target.account) as cloud:
            there = await _found(cloud.blobs, target)
            is_large = blob.size_bytes > self._copy.part_bytes
            in_parts = is_large and cloud.supports(Blobs.begin_upload)
        return Facts(
            size_bytes=blob.size_bytes,
            etag=blob.etag,
            content_type=blob.content_type,
            metadata=dict(blob.metadata),
            is_there=there is not None,
            by_cloud=by_cloud,
            in_parts=in_parts,
        )

    async def _copy_there(self) -> Stored:
        source = BlobPlace(self._copy.source.bucket, self._copy.source.id)
        async with self._ground.cloud(self._work, self._copy.target.account) as cloud:
            return Stored(id=(await cloud.blobs.copy(source, self._new)).etag)

    async def _store(self) -> Stored:
        etag = self._facts.etag if self._facts else None
        return await self._streams.store(self._new, etag)

    async def _begin(self) -> Upload:
        async with self._ground.cloud(self._work, self._copy.target.account) as cloud:
            upload = await cloud.blobs.begin_upload(self._new)
        return Upload(id=upload.id, blob_id=upload.blob_id, bucket_id=upload.bucket_id)

    async def _part(self, upload: Upload, order: int, part: ByteRange, etag: str | None) -> Part:
        try:
            return Part(stored=await self._streams.store_part(upload, order, part, etag))
        except CloudError as error:
            return Part(problem=Problem.of(error))

    async def _finish(self, upload: Upload, segments: tuple[Segment, ...]) -> Stored:
        async with self._ground.cloud(self._work, self._copy.target.account) as cloud:
            try:
                return Stored(id=(await cloud.blobs.finish_upload(upload, segments)).etag)
            except NotFound:
                # It was finished before, and nobody got the answer: then the blob is there.
                blob = await cloud.blobs.get(upload.bucket_id, upload.blob_id)
                if self._facts is None or blob.size_bytes != self._facts.size_bytes:
                    raise
                return Stored(id=blob.etag)

    async def _undo(self) -> None:
        """Take away what there is of the copy, unless it is in the place of another blob."""
        undoing = self._work.undoing()
        await undoing.progress(99, "cleaning up", "what was copied is removed")
        problems: tuple[Problem, ...] = ()
        for pause_s in (*PAUSES_S, None):
            problems = await undoing.step("undo", self._undone, type=tuple[Problem, ...])
            if not problems or pause_s is None:
                break
            await undoing.sleep(pause_s)
        for problem in problems:
            await self._work.log(f"what was copied could not be removed: {problem.message}")

    async def _undone(self) -> tuple[Problem, ...]:
        target = self._copy.target
        is_new = self._facts is not None and not self._facts.is_there
        try:
            async with self._ground.cloud_to_clean(self._work, target.account) as cloud:
                if self._has_upload:
                    # Where its bucket is gone, so is the upload.
                    with suppress(NotFound):
                        # The same token again is the upload that was begun.
                        upload = self._upload or await cloud.blobs.begin_upload(self._new)
                        await cloud.blobs.abort_upload(upload)
                if self._is_written and is_new:
                    with suppress(NotFound):
                        await cloud.blobs.destroy(target.bucket, target.id)
        except CloudError as error:
            return (Problem.of(error),)
        return ()

    def _copied(self, facts: Facts, parts: int, stored: Stored, *, verified: bool) -> Copied:
        return Copied(
            target=self._copy.target,
            size_bytes=facts.size_bytes,
            parts=parts,
            etag=stored.id,
            sha256=stored.sha256,
            verified=verified,
        )


async def _found(blobs: Blobs, at: BlobAt) -> Blob | None:
    try:
        return await blobs.get(at.bucket, at.id)
    except NotFound:
        return None
