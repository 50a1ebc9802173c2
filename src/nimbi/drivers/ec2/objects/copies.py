"""Copies that the store makes itself, in one go or, of large blobs, in parts."""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from nimbi.drivers.ec2.objects.client import Call, ObjectClient
from nimbi.drivers.ec2.objects.facts import KEPT_HEADERS, blob_of, plain_etag, quoted
from nimbi.drivers.ec2.objects.names import (
    check_content_type,
    in_path,
    known_bucket,
    known_key,
    metadata_headers,
)
from nimbi.drivers.ec2.objects.uploads import Parts, begun, copied
from nimbi.model.buckets import Blob, BlobPlace
from nimbi.model.errors import Conflict, NotFound


async def copy(
    client: ObjectClient,
    source: BlobPlace,
    target: BlobPlace,
    conditions: Mapping[str, str],
    *,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Blob:
    """Return the copy. What is None is that of the source; one blob may be both.

    It is a copy of one version of the source: raises Conflict when that is written meanwhile.
    """
    what = f"the blob {source.id[:80]!r}"
    bucket, key = known_bucket(source.bucket_id), known_key(source.id)
    found = await client.send(Call("HEAD", what, bucket, key))
    blob = blob_of(bucket, key, found.headers)
    if conditions:
        await _look(client, target, conditions)
    told = replace(
        blob,
        content_type=blob.content_type if content_type is None else content_type,
        metadata=blob.metadata if metadata is None else metadata,
    )
    headers = {
        **{name: found.headers[name] for name in KEPT_HEADERS if name in found.headers},
        "Content-Type": check_content_type(told.content_type),
        **metadata_headers(told.metadata),
    }
    taken = {"x-amz-copy-source": f"/{bucket}/{in_path(key)}"}
    if blob.etag is not None:
        taken["x-amz-copy-source-if-match"] = quoted(blob.etag)
    if blob.size_bytes > client.rules.copy_bytes:
        await _in_parts(client, blob, target, headers, taken, conditions)
    else:
        call = Call(
            "PUT",
            f"the blob {target.id[:80]!r}",
            target.bucket_id,
            target.id,
            headers={**headers, **taken, **conditions, "x-amz-metadata-directive": "REPLACE"},
            changes=True,
        )
        await copied(client, call)
    look = Call("HEAD", f"the blob {target.id[:80]!r}", target.bucket_id, target.id)
    answer = await client.send(look)
    return blob_of(target.bucket_id, target.id, answer.headers)


async def _look(client: ObjectClient, target: BlobPlace, conditions: Mapping[str, str]) -> None:
    """Raise Conflict when a condition does not hold: few stores besides AWS look, at a copy."""
    what = f"the blob {target.id[:80]!r}"
    try:
        answer = await client.send(Call("HEAD", what, target.bucket_id, target.id))
    except NotFound:
        holds = "If-Match" not in conditions
    else:
        etag = quoted(plain_etag(answer.headers.get("ETag")) or "none")
        holds = "If-None-Match" not in conditions and conditions.get("If-Match", etag) == etag
    if not holds:
        raise Conflict(f"{what} is not as it was expected to be")


async def _in_parts(
    client: ObjectClient,
    blob: Blob,
    target: BlobPlace,
    headers: Mapping[str, str],
    taken: Mapping[str, str],
    conditions: Mapping[str, str],
) -> None:
    parts = await begun(client, target.bucket_id, target.id, headers)
    size = client.rules.copied_part_of(blob.size_bytes)
    ranges = [
        (number, first, min(first + size, blob.size_bytes) - 1)
        for number, first in enumerate(range(0, blob.size_bytes, size), 1)
    ]
    try:
        await parts.finish(await _all(parts, ranges, taken), conditions)
    except BaseException:
        await parts.clean_up()
        raise


async def _all(
    parts: Parts, ranges: list[tuple[int, int, int]], taken: Mapping[str, str]
) -> list[tuple[int, str]]:
    places = asyncio.Semaphore(parts.client.rules.at_once)

    async def one(number: int, first: int, last: int) -> tuple[int, str]:
        async with places:
            headers = {**taken, "x-amz-copy-source-range": f"bytes={first}-{last}"}
            return number, await parts.copy(number, headers)

    tasks = [asyncio.ensure_future(one(*part)) for part in ranges]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
