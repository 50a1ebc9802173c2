"""Copies that the store makes itself, in one go or, of the largest blobs, segment by segment."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from nimbi.drivers.openstack.objects.client import Call, ObjectClient
from nimbi.drivers.openstack.objects.conditions import guarded, seen
from nimbi.drivers.openstack.objects.facts import blob_of, is_manifest, kept
from nimbi.drivers.openstack.objects.names import (
    check_content_type,
    in_path,
    known_bucket,
    known_key,
    metadata_headers,
    new_key,
)
from nimbi.drivers.openstack.objects.segments import (
    Piece,
    Segments,
    begun,
    manifest_of,
    segments_under,
)
from nimbi.model.buckets import Blob, BlobPlace, NewBlob
from nimbi.model.errors import Invalid, NotFound


async def copy(client: ObjectClient, source: BlobPlace, new: NewBlob) -> Blob:
    """Return the copy. What `new` does not tell is that of the source."""
    limits = await client.limits()
    bucket, key = known_bucket(source.bucket_id), known_key(source.id)
    known_bucket(new.bucket_id)
    new_key(new.id, limits)
    found = await seen(client, bucket, key)
    if found is None:
        raise NotFound(f"there is no blob {key[:80]!r}")
    blob = blob_of(bucket, key, found)
    told = replace(
        blob,
        content_type=new.content_type or blob.content_type,
        metadata=new.metadata or blob.metadata,
    )
    headers = {
        **kept(found),
        "Content-Type": check_content_type(told.content_type),
        **metadata_headers(told.metadata, limits),
    }
    before = await seen(client, new.bucket_id, new.id)
    old = await segments_under(client, new.bucket_id, new.id, before)
    if blob.size_bytes > limits.object_bytes:
        if not is_manifest(found):
            raise Invalid(f"the blob {key[:80]!r} is too large to be copied by the store")
        await _in_segments(client, BlobPlace(bucket, key), new, headers)
    else:
        await _at_once(client, BlobPlace(bucket, key), new, headers)
    for segments in old:
        await segments.clean_up()
    path = in_path(new.bucket_id, new.id)
    answer = await client.send(Call("HEAD", f"the blob {new.id[:80]!r}", path))
    return blob_of(new.bucket_id, new.id, answer.headers)


async def _at_once(
    client: ObjectClient, source: BlobPlace, new: NewBlob, headers: Mapping[str, str]
) -> None:
    taken = {"X-Copy-From": in_path(source.bucket_id, source.id), "X-Fresh-Metadata": "true"}
    async with guarded(client, new) as conditions:
        # The store takes conditions of a copy for those of its source.
        del conditions
        call = Call(
            "PUT",
            f"the blob {new.id[:80]!r}",
            in_path(new.bucket_id, new.id),
            headers={**headers, **taken},
            changes=True,
        )
        await client.send(call)


async def _in_segments(
    client: ObjectClient, source: BlobPlace, new: NewBlob, headers: Mapping[str, str]
) -> None:
    segments = await begun(client, new.bucket_id, new.id)
    try:
        pieces = await _all(segments, await _flat(client, source.bucket_id, source.id))
        async with guarded(client, new) as conditions:
            await segments.join(pieces, headers, conditions)
    except BaseException:
        await segments.clean_up()
        raise


async def _all(segments: Segments, sources: Sequence[Mapping[str, object]]) -> list[Piece]:
    places = asyncio.Semaphore(segments.client.rules.at_once)

    async def one(order: int, told: Mapping[str, object]) -> Piece:
        async with places:
            container, _, key = str(told["name"]).lstrip("/").partition("/")
            size = int(str(told["bytes"]))
            return await segments.copy(order, in_path(container, key), str(told["hash"]), size)

    tasks = [asyncio.ensure_future(one(*source)) for source in enumerate(sources, 1)]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _flat(client: ObjectClient, bucket: str, key: str) -> list[Mapping[str, object]]:
    """Return the segments of a large object, those of manifests within it too."""
    found: list[Mapping[str, object]] = []
    for entry in await manifest_of(client, bucket, key):
        if "range" in entry or "name" not in entry:
            raise Invalid(f"the blob {key[:80]!r} is too large to be copied by the store")
        if entry.get("sub_slo"):
            container, _, name = str(entry["name"]).lstrip("/").partition("/")
            found += await _flat(client, container, name)
        else:
            found.append(entry)
    return found
