"""Content on its way up: in one request, or in segments of which several are sent at once."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from nimbi.drivers.openstack.objects.client import Call, ObjectClient
from nimbi.drivers.openstack.objects.conditions import guarded, seen
from nimbi.drivers.openstack.objects.digests import Digest
from nimbi.drivers.openstack.objects.facts import plain_etag
from nimbi.drivers.openstack.objects.names import (
    check_content_type,
    in_path,
    known_bucket,
    metadata_headers,
    new_key,
)
from nimbi.drivers.openstack.objects.rules import MIB, MOST_BYTES, Limits
from nimbi.drivers.openstack.objects.segments import Piece, Segments, begun, segments_under
from nimbi.model.buckets import NewBlob
from nimbi.model.errors import CloudError, Invalid
from nimbi.wire.held import Held
from nimbi.wire.sending import Sending, Way
from nimbi.wire.source import Source

# What is not larger is compared with its checksum by the store, before the blob is there.
HELD_BYTES = MIB


@dataclass(frozen=True)
class Written:
    """What was stored. `etag` is None when only a look tells it."""

    size_bytes: int
    etag: str | None


def described(new: NewBlob, limits: Limits) -> dict[str, str]:
    """Return the headers that tell of a new blob. Raises Invalid."""
    return {
        "Content-Type": check_content_type(new.content_type),
        **metadata_headers(new.metadata, limits),
    }


def check_size(size_bytes: int | None, most_bytes: int = MOST_BYTES) -> None:
    """Raise Invalid for what no store takes."""
    if size_bytes is not None and not 0 <= size_bytes <= most_bytes:
        raise Invalid(f"at most {most_bytes} bytes can be stored so, not {size_bytes}")


async def write(client: ObjectClient, new: NewBlob, chunks: AsyncIterator[bytes]) -> Written:
    """Store content, of a told length or of any."""
    check_size(new.size_bytes)
    limits = await client.limits()
    known_bucket(new.bucket_id)
    new_key(new.id, limits)
    headers = described(new, limits)
    source = Source(chunks, new.size_bytes, MOST_BYTES, Invalid)
    # What the segments of the blob were that is written over.
    before = await seen(client, new.bucket_id, new.id)
    old = await segments_under(client, new.bucket_id, new.id, before)
    whole_bytes = min(client.rules.whole_bytes, limits.object_bytes)
    if new.size_bytes is None:
        written = await _untold(client, new, source, headers, limits)
    elif new.size_bytes <= whole_bytes or not limits.has_manifests:
        written = await _at_once(client, new, source, headers)
    else:
        written = await _in_segments(client, new, source, headers, limits, None)
    for segments in old:
        await segments.clean_up()
    return written


async def _untold(
    client: ObjectClient, new: NewBlob, source: Source, headers: Mapping[str, str], limits: Limits
) -> Written:
    held = Held(client.room, "md5")
    try:
        await held.fill(source, min(client.rules.segment_bytes, limits.object_bytes))
        if source.is_over:
            return await _put_held(client, new, held, headers)
    except BaseException:
        held.close()
        raise
    return await _in_segments(client, new, source, headers, limits, held)


async def _at_once(
    client: ObjectClient, new: NewBlob, source: Source, headers: Mapping[str, str]
) -> Written:
    size = new.size_bytes or 0
    if size > client.rules.verified_bytes:
        return await _put(client, new, source.take(size), size, headers)
    if size > HELD_BYTES:
        digest = Digest()
        written = await _put(client, new, digest.of(source.take(size)), size, headers)
        if written.etag != await digest.text():
            raise CloudError(f"the blob {new.id[:80]!r} was stored otherwise than it was sent")
        return written
    held = Held(client.room, "md5")
    try:
        # One byte more, so that the end is seen.
        await held.fill(source, size + 1)
        return await _put_held(client, new, held, headers)
    finally:
        held.close()


async def _put_held(
    client: ObjectClient, new: NewBlob, held: Held, headers: Mapping[str, str]
) -> Written:
    try:
        told = {**headers, "ETag": held.digest}
        return await _put(client, new, held.chunks(), held.size_bytes, told)
    finally:
        held.close()


async def _put(
    client: ObjectClient,
    new: NewBlob,
    chunks: AsyncIterator[bytes],
    size_bytes: int,
    headers: Mapping[str, str],
) -> Written:
    async with guarded(client, new) as conditions:
        call = Call(
            "PUT",
            f"the blob {new.id[:80]!r}",
            in_path(new.bucket_id, new.id),
            headers={**headers, **conditions},
            body=chunks,
            size_bytes=size_bytes,
            changes=True,
        )
        answer = await client.send(call)
    return Written(size_bytes, plain_etag(answer.headers.get("ETag")))


async def _in_segments(
    client: ObjectClient,
    new: NewBlob,
    source: Source,
    headers: Mapping[str, str],
    limits: Limits,
    first: Held | None,
) -> Written:
    try:
        segments = await begun(client, new.bucket_id, new.id)
    except BaseException:
        if first is not None:
            first.close()
        raise
    sending = Sending(source, client.room, _way(segments, new.size_bytes, limits))
    try:
        pieces = await sending.all(first)
        pieces.sort(key=lambda piece: piece.name)
        async with guarded(client, new) as conditions:
            await segments.join(pieces, headers, conditions)
    except BaseException:
        await sending.stop()
        await segments.clean_up()
        raise
    return Written(source.seen_bytes, None)


def _way(segments: Segments, told_bytes: int | None, limits: Limits) -> Way[Piece]:
    rules = segments.client.rules

    def size_of(number: int, at: int) -> int:
        if told_bytes is None:
            return rules.growing_segment(number, limits.object_bytes)
        return min(rules.segment_of(told_bytes), limits.object_bytes, told_bytes - at)

    is_told = told_bytes is not None
    return Way(segments.put, segments.put_once, size_of, is_told, rules.at_once, "md5")
