"""Content on its way up: in one request, or in parts of which several are sent at once."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.facts import plain_etag, write_conditions
from nimbi.drivers.ec2.objects.names import check_content_type, metadata_headers
from nimbi.drivers.ec2.objects.rules import MOST_BYTES
from nimbi.drivers.ec2.objects.uploads import Parts, begun
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.wire.held import ALWAYS_BYTES, Held
from nimbi.wire.sending import Sending, Way
from nimbi.wire.sigv4 import UNSIGNED
from nimbi.wire.source import Source

# Its number, and its etag.
Part = tuple[int, str]


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
    source = Source(chunks, new.size_bytes, MOST_BYTES, Invalid)
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
    return await _put(client, new, held.chunks(), held.size_bytes, headers, held.digest)


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
    sending = Sending(source, client.room, _way(parts, new.size_bytes))
    try:
        etags = await sending.all(first)
        await parts.finish(etags, conditions)
    except BaseException:
        await sending.stop()
        await parts.clean_up()
        raise
    return Written(source.seen_bytes, None)


def _way(parts: Parts, told_bytes: int | None) -> Way[Part]:
    rules = parts.client.rules

    async def put(number: int, held: Held) -> Part:
        return number, await parts.put(number, held)

    async def put_now(number: int, chunks: AsyncIterator[bytes], size_bytes: int) -> Part:
        return number, await parts.put_once(number, chunks, size_bytes)

    def size_of(number: int, at: int) -> int:
        if told_bytes is None:
            return rules.growing_part(number)
        return min(rules.part_of(told_bytes), told_bytes - at)

    return Way(put, put_now, size_of, told_bytes is not None, rules.at_once, "sha256")
