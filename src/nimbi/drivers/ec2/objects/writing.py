"""Content on its way up: in one request, or in parts of which several are sent at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.facts import plain_etag, write_conditions
from nimbi.drivers.ec2.objects.held import ALWAYS_BYTES, Held
from nimbi.drivers.ec2.objects.names import check_content_type, metadata_headers
from nimbi.drivers.ec2.objects.rules import MOST_BYTES
from nimbi.drivers.ec2.objects.source import Source
from nimbi.drivers.ec2.objects.uploads import Parts, begun
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.wire.sigv4 import UNSIGNED


@dataclass(frozen=True)
class Written:
    """What was stored. `etag` is None when only a look tells it."""

    size_bytes: int
    etag: str | None


def described(new: NewBlob) -> dict[str, str]:
    """Return the headers that tell of a new blob. Raises Invalid."""
    return {
        "Content-Type": check_content_type(new.content_type),
        **metadata_headers(new.metadata),
    }


def check_size(size_bytes: int | None) -> None:
    """Raise Invalid for a blob that no store takes."""
    if size_bytes is not None and not 0 <= size_bytes <= MOST_BYTES:
        raise Invalid(f"a blob has 0 to {MOST_BYTES} bytes (5 TiB), not {size_bytes}")


async def write(client: ObjectClient, new: NewBlob, chunks: AsyncIterator[bytes]) -> Written:
    """Store content, of a told length or of any."""
    check_size(new.size_bytes)
    headers = described(new)
    conditions = write_conditions(new)
    source = Source(chunks, new.size_bytes, MOST_BYTES)
    try:
        if new.size_bytes is None:
            return await _untold(client, new, source, headers, conditions)
        if new.size_bytes <= client.rules.part_bytes:
            return await _at_once(client, new, source, headers | conditions)
        return await _in_parts(client, new, source, headers, conditions, None)
    except NotFound as error:
        # What S3 says to a condition on a blob that is not there.
        if new.only_over is not None and "NoSuchKey" in error.message:
            raise Conflict(f"there is no blob {new.id[:80]!r} to write over") from error
        raise


async def _untold(
    client: ObjectClient,
    new: NewBlob,
    source: Source,
    headers: Mapping[str, str],
    conditions: Mapping[str, str],
) -> Written:
    held = Held(client.room)
    try:
        await held.fill(source, client.rules.part_bytes)
        if source.is_over:
            return await _put_held(client, new, held, {**headers, **conditions})
    except BaseException:
        held.close()
        raise
    return await _in_parts(client, new, source, headers, conditions, held)


async def _at_once(
    client: ObjectClient, new: NewBlob, source: Source, headers: Mapping[str, str]
) -> Written:
    size = new.size_bytes or 0
    if size > ALWAYS_BYTES and client.room.free_bytes < size:
        return await _put(client, new, source.take(size), size, headers)
    held = Held(client.room)
    try:
        # One byte more, so that the end is seen.
        await held.fill(source, size + 1)
        return await _put_held(client, new, held, headers)
    finally:
        held.close()


async def _put_held(
    client: ObjectClient, new: NewBlob, held: Held, headers: Mapping[str, str]
) -> Written:
    return await _put(client, new, held.chunks(), held.size_bytes, headers, held.sha256)


async def _put(
    client: ObjectClient,
    new: NewBlob,
    chunks: AsyncIterator[bytes],
    size_bytes: int,
    headers: Mapping[str, str],
    sha256: str = UNSIGNED,
) -> Written:
    call = Call(
        "PUT",
        f"the blob {new.id[:80]!r}",
        new.bucket_id,
        new.id,
        headers=headers,
        body=chunks if size_bytes else b"",
        size_bytes=size_bytes,
        sha256=sha256,
        changes=True,
    )
    answer = await client.send_stream(call)
    return Written(size_bytes, plain_etag(answer.headers.get("ETag")))


async def _in_parts(
    client: ObjectClient,
    new: NewBlob,
    source: Source,
    headers: Mapping[str, str],
    conditions: Mapping[str, str],
    first: Held | None,
) -> Written:
    try:
        parts = await begun(client, new.bucket_id, new.id, headers)
    except BaseException:
        if first is not None:
            first.close()
        raise
    sending = _Sending(parts, source, new.size_bytes)
    try:
        etags = await sending.all(first)
        await parts.finish(etags, conditions)
    except BaseException:
        await sending.stop()
        await parts.clean_up()
        raise
    return Written(source.seen_bytes, None)


class _Sending:
    """Parts on their way, so many at once as the rules say, and as there is room for."""

    def __init__(self, parts: Parts, source: Source, told_bytes: int | None) -> None:
        self._parts = parts
        self._source = source
        self._client = parts.client
        self._told = told_bytes
        self._tasks: set[asyncio.Task[None]] = set()
        self._etags: list[tuple[int, str]] = []

    async def all(self, first: Held | None) -> list[tuple[int, str]]:
        """Return the etags of all parts."""
        number, at = 1, 0
        if first is not None:
            at = first.size_bytes
            await self._start(number, first)
            number += 1
        while not self._source.is_over:
            at += await self._next(number, at)
            number += 1
        if self._tasks:
            await self._ended(asyncio.ALL_COMPLETED)
        return self._etags

    async def stop(self) -> None:
        """Cancel what is on its way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _next(self, number: int, at: int) -> int:
        """Send a part, or begin to; return its size."""
        rules = self._client.rules
        if self._told is None:
            return await self._hold(number, rules.growing_part(number))
        size = min(rules.part_of(self._told), self._told - at)
        if size <= self._client.room.free_bytes:
            return await self._hold(number, size)
        # No room: this one goes as it comes, while those before are still on their way.
        etag = await self._parts.put_once(number, self._source.take(size), size)
        self._etags.append((number, etag))
        # Whether anything comes is known only when it was asked for.
        return size

    async def _hold(self, number: int, size_bytes: int) -> int:
        held = Held(self._client.room)
        try:
            await held.fill(self._source, size_bytes)
        except BaseException:
            held.close()
            raise
        if held.size_bytes:
            await self._start(number, held)
        return held.size_bytes

    async def _start(self, number: int, held: Held) -> None:
        try:
            while len(self._tasks) >= self._client.rules.at_once:
                await self._ended(asyncio.FIRST_COMPLETED)
        except BaseException:
            held.close()
            raise
        task = asyncio.create_task(self._send(number, held))
        task.add_done_callback(lambda _task: held.close())
        self._tasks.add(task)

    async def _send(self, number: int, held: Held) -> None:
        self._etags.append((number, await self._parts.put(number, held)))

    async def _ended(self, when: str) -> None:
        done, self._tasks = await asyncio.wait(self._tasks, return_when=when)
        for task in done:
            task.result()
