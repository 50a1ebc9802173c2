"""Uploads that callers make segment by segment, remembered in an object beside the segments."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import blake2s

import msgspec

from nimbi.drivers.openstack.objects.client import Call, ObjectClient
from nimbi.drivers.openstack.objects.conditions import guarded, seen
from nimbi.drivers.openstack.objects.names import (
    in_path,
    known_bucket,
    known_key,
    new_key,
)
from nimbi.drivers.openstack.objects.rules import MOST_ORDER
from nimbi.drivers.openstack.objects.segments import Piece, Segments, begun, segments_under
from nimbi.drivers.openstack.objects.writing import described
from nimbi.model.buckets import NewBlob, Segment, Upload
from nimbi.model.errors import CloudError, CloudUnavailable, Invalid, NotFound
from nimbi.wire.held import Held
from nimbi.wire.source import Source

ABOUT = "about"
_ID = re.compile(r"[0-9a-f]{32}\Z")
_SEGMENT = re.compile(r"([0-9]{1,19})-([0-9a-f]{32})\Z")
# What is not larger waits until it is known as whole, so that it can be sent again.
HELD_BYTES = 8 * 2**20


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told of a blob when its upload begins."""

    blob_id: str
    content_type: str | None = None
    metadata: dict[str, str] = {}
    only_new: bool | None = None
    only_over: str | None = None


async def begin(client: ObjectClient, new: NewBlob) -> Upload:
    """Begin an upload; the same token again is the same upload."""
    limits = await client.limits()
    bucket, key = known_bucket(new.bucket_id), new_key(new.id, limits)
    described(new, limits)
    told = About(
        blob_id=key,
        content_type=new.content_type,
        metadata=dict(new.metadata),
        only_new=new.only_new,
        only_over=new.only_over,
    )
    id = None
    if new.token is not None:
        text = f"{bucket}\0{key}\0{new.token}".encode()
        id = blake2s(text, digest_size=16).hexdigest()
    segments = await begun(client, bucket, key, id)
    call = Call(
        "PUT",
        segments.what,
        in_path(segments.container, f"{segments.id}/{ABOUT}"),
        headers={"Content-Type": "application/json"},
        body=msgspec.json.encode(told),
        changes=True,
    )
    await client.send(call)
    return Upload(id=segments.id, bucket_id=bucket, blob_id=key)


async def put(
    client: ObjectClient,
    upload: Upload,
    order: int,
    chunks: AsyncIterator[bytes],
    size_bytes: int | None,
) -> Segment:
    """Store one segment, whose id tells its size and checksum."""
    segments, _ = await _opened(client, upload)
    limits = await client.limits()
    if not 1 <= order <= MOST_ORDER:
        raise Invalid(f"the order of a segment is 1 to {MOST_ORDER}, not {order}")
    most = limits.object_bytes
    if size_bytes is not None and not 0 <= size_bytes <= most:
        raise Invalid(f"a segment has 0 to {most} bytes, not {size_bytes}")
    source = Source(chunks, size_bytes, most, Invalid)
    if size_bytes is not None and size_bytes > min(client.room.free_bytes, HELD_BYTES):
        piece = await segments.put_once(order, source.take(size_bytes), size_bytes)
        return _segment(order, piece)
    held = Held(client.room, "md5")
    try:
        await held.fill(source, most)
        return _segment(order, await segments.put(order, held))
    finally:
        held.close()


async def finish(client: ObjectClient, upload: Upload, sent: tuple[Segment, ...]) -> None:
    """Make the blob of its segments, and forget the others."""
    segments, about = await _opened(client, upload)
    if not sent or len({segment.order for segment in sent}) < len(sent):
        raise Invalid("an upload is finished by one or more segments, each order once")
    ordered = sorted(sent, key=lambda segment: segment.order)
    pieces = [_piece(segments, segment) for segment in ordered]
    await _check_empty(segments, pieces)
    new = NewBlob(
        bucket_id=segments.bucket,
        id=segments.key,
        content_type=about.content_type,
        metadata=about.metadata,
        only_new=about.only_new,
        only_over=about.only_over,
    )
    before = await seen(client, segments.bucket, segments.key)
    old = await segments_under(client, segments.bucket, segments.key, before)
    headers = described(new, await client.limits())
    async with guarded(client, new) as conditions:
        await segments.join(pieces, headers, conditions)
    for other in old:
        if other.id != segments.id:
            await other.clean_up()
    used = {piece.name for piece in pieces if piece.size_bytes}
    with suppress(CloudError):
        names = await segments.names()
        groups = {name for name in names if name.partition("/")[2].startswith("m")}
        await segments.forget(used | groups)


async def abort(client: ObjectClient, upload: Upload) -> None:
    """Forget an upload and its segments."""
    segments, _ = await _opened(client, upload)
    found = await seen(client, segments.bucket, segments.key)
    used = await segments_under(client, segments.bucket, segments.key, found)
    if any(other.id == segments.id for other in used):
        # It was finished, and only its end was not noted.
        path = in_path(segments.container, f"{segments.id}/{ABOUT}")
        await client.send(Call("DELETE", segments.what, path, changes=True))
        raise NotFound(f"the upload {upload.id} is finished")
    await segments.forget()


async def _opened(client: ObjectClient, upload: Upload) -> tuple[Segments, About]:
    """Return an upload as it was begun. Raises NotFound for what is none under way."""
    bucket, key = known_bucket(upload.bucket_id), known_key(upload.blob_id)
    unknown = NotFound(f"there is no upload {upload.id[:80]!r}")
    if _ID.match(upload.id) is None:
        raise unknown
    segments = Segments(client, bucket, key, upload.id)
    path = in_path(segments.container, f"{segments.id}/{ABOUT}")
    try:
        answer = await client.send(Call("GET", segments.what, path))
    except NotFound:
        raise unknown from None
    try:
        about = msgspec.json.decode(answer.body, type=About)
    except msgspec.MsgspecError as error:
        raise CloudUnavailable(f"{segments.what}: what it is to be cannot be read") from error
    if about.blob_id != key:
        raise unknown
    return segments, about


async def _check_empty(segments: Segments, pieces: list[Piece]) -> None:
    """Raise Invalid for an empty segment that was never stored: no manifest looks at those."""
    empty = [piece.name for piece in pieces if not piece.size_bytes]
    if not empty:
        return
    known = set(await segments.names())
    if any(name not in known for name in empty):
        raise Invalid(f"{segments.what}: there is no such segment")


def _segment(order: int, piece: Piece) -> Segment:
    return Segment(order=order, id=f"{piece.size_bytes}-{piece.etag}")


def _piece(segments: Segments, sent: Segment) -> Piece:
    found = _SEGMENT.match(sent.id)
    if found is None or not 1 <= sent.order <= MOST_ORDER:
        raise Invalid(f"{segments.what}: there is no segment {sent.id[:80]!r}")
    return Piece(segments.name(sent.order), found[2], int(found[1]))
