"""Blobs in parts: whatever goes wrong, the blob is whole or not there, and no part is left."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.drivers.s3.conftest import OpenStore, Store
from tests.targets.exchange import Asked, Handler, Reply, forwarding
from tests.targets.proxy import Proxy, proxied, refused

from nimbi.drivers.ec2.objects.client import Call
from nimbi.drivers.ec2.objects.rules import (
    GIB,
    MIB,
    MOST_BYTES,
    MOST_PART_BYTES,
    MOST_PARTS,
    Rules,
)
from nimbi.drivertest.streams import Torn, content_of, in_chunks, torn_after
from nimbi.model.buckets import BlobPlace, NewBlob, NewBucket
from nimbi.model.errors import CloudError, Conflict, Invalid, NotFound, UnknownOutcome
from nimbi.wire.xml_read import parse

PART = 100_000
RULES = Rules(part_bytes=PART, at_once=3, copy_bytes=2 * PART, copy_part_bytes=PART)
CONTENT = content_of(7 * PART + 12_345)
BUCKET = "in-parts"
KEY = "large"


@pytest.fixture
async def spoiled(moto: str) -> AsyncIterator[tuple[str, Proxy]]:
    """The URL of a proxy in front of moto, and the proxy."""
    async with forwarding(moto) as carry_out, proxied(carry_out) as found:
        yield found


@pytest.fixture
async def store(spoiled: tuple[str, Proxy], open_store: OpenStore) -> AsyncIterator[Store]:
    async with open_store(spoiled[0], RULES) as store:
        await store.buckets.create(NewBucket(name=BUCKET))
        yield store


@pytest.fixture
def proxy(spoiled: tuple[str, Proxy]) -> Proxy:
    return spoiled[1]


async def content(store: Store, key: str = KEY) -> bytes:
    found = await store.blobs.read(BUCKET, key)
    return b"".join([chunk async for chunk in found.chunks])


async def uploads(store: Store) -> int:
    """Return how many uploads are under way."""
    answer = await store.objects.send(Call("GET", "uploads", BUCKET, query=(("uploads", ""),)))
    return len(parse(answer.body).findall("Upload"))


def parts_seen(proxy: Proxy) -> list[int]:
    return [int(asked.form["partNumber"]) for asked in proxy.asked if "partNumber" in asked.form]


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("has_room", [True, False], ids=["memory", "no memory"])
@pytest.mark.parametrize("chunk", [1000, 70_001, 1_000_000])
async def test_parts_make_the_whole(
    store: Store, proxy: Proxy, told: bool, has_room: bool, chunk: int
) -> None:
    if not has_room:
        assert store.objects.room.take(store.objects.room.free_bytes)
    new = NewBlob(
        bucket_id=BUCKET,
        id=KEY,
        size_bytes=len(CONTENT) if told else None,
        content_type="text/x-test",
        metadata={"colour": "blue"},
    )
    blob = await store.blobs.write(new, in_chunks(CONTENT, chunk))
    assert (blob.size_bytes, blob.content_type) == (len(CONTENT), "text/x-test")
    assert blob.metadata == {"colour": "blue"}
    assert await content(store) == CONTENT
    assert sorted(parts_seen(proxy)) == list(range(1, 9))


async def test_room_is_given_back_whatever_happens(store: Store, proxy: Proxy) -> None:
    free = store.objects.room.free_bytes
    new = NewBlob(bucket_id=BUCKET, id=KEY)
    await store.blobs.write(new, in_chunks(CONTENT))
    proxy.spoil(f"PUT /{BUCKET}/*", refused(403, "AccessDenied"), calls=None, passing=2)
    with pytest.raises(CloudError):
        await store.blobs.write(new, in_chunks(CONTENT))
    proxy.mend()
    with pytest.raises(Torn):
        await store.blobs.write(new, torn_after(CONTENT))
    assert store.objects.room.free_bytes == free


async def test_several_parts_are_on_their_way_at_once(moto: str, open_store: OpenStore) -> None:
    under_way, most = 0, 0
    enough = asyncio.Event()

    async with forwarding(moto) as carry_out:

        async def counted(asked: Asked) -> Reply:
            nonlocal under_way, most
            under_way += "partNumber" in asked.form
            most = max(most, under_way)
            if most == RULES.at_once:
                enough.set()
            if "partNumber" in asked.form:
                # The first part ends when the third has come.
                await enough.wait()
            reply = await carry_out(asked)
            under_way -= "partNumber" in asked.form
            return reply

        async with proxied(counted) as (url, _proxy), open_store(url, RULES) as store:
            await store.buckets.create(NewBucket(name=BUCKET))
            new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=len(CONTENT))
            await store.blobs.write(new, in_chunks(CONTENT))
    assert most == RULES.at_once


async def test_a_part_that_is_refused_for_now_is_sent_again(store: Store, proxy: Proxy) -> None:
    proxy.spoil(f"PUT /{BUCKET}/*", refused(503, "SlowDown"), calls=2, passing=3)
    new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=len(CONTENT))
    await store.blobs.write(new, in_chunks(CONTENT))
    assert await content(store) == CONTENT


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
async def test_a_part_that_is_refused_for_good_ends_the_upload(
    store: Store, proxy: Proxy, told: bool
) -> None:
    proxy.spoil(f"PUT /{BUCKET}/*", refused(403, "AccessDenied"), calls=None, passing=4)
    new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=len(CONTENT) if told else None)
    with pytest.raises(CloudError):
        await store.blobs.write(new, in_chunks(CONTENT))
    proxy.mend()
    assert await uploads(store) == 0
    with pytest.raises(NotFound):
        await store.blobs.get(BUCKET, KEY)


@pytest.mark.parametrize("size_bytes", [len(CONTENT) - 1, len(CONTENT) + 1])
async def test_content_of_another_size_leaves_no_part(store: Store, size_bytes: int) -> None:
    new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=size_bytes)
    with pytest.raises(Invalid):
        await store.blobs.write(new, in_chunks(CONTENT))
    assert await uploads(store) == 0


async def test_a_sender_who_leaves_leaves_no_part(store: Store) -> None:
    for size in (None, len(CONTENT) + 1):
        new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=size)
        with pytest.raises(Torn):
            await store.blobs.write(new, torn_after(CONTENT))
    assert await uploads(store) == 0


async def test_a_write_that_is_cancelled_leaves_no_part(store: Store, proxy: Proxy) -> None:
    waits = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield CONTENT
        waits.set()
        await asyncio.Event().wait()

    writing = asyncio.ensure_future(
        store.blobs.write(NewBlob(bucket_id=BUCKET, id=KEY), _then(chunks()))
    )
    await waits.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await uploads(store) == 0


async def _then(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        for start in range(0, len(chunk), PART):
            yield chunk[start : start + PART]


async def test_an_error_in_a_successful_answer_is_an_error(store: Store, proxy: Proxy) -> None:
    async def spoil(_asked: Asked, _carry_out: Handler) -> Reply:
        text = b"\n\n<Error><Code>InternalError</Code><Message>Try again.</Message></Error>"
        return Reply(200, text)

    proxy.spoil(f"POST /{BUCKET}/*", spoil, calls=1, passing=1)
    new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=len(CONTENT))
    await store.blobs.write(new, in_chunks(CONTENT))
    assert await content(store) == CONTENT
    await store.blobs.write(NewBlob(bucket_id=BUCKET, id="small"), in_chunks(b"abc"))
    proxy.spoil(f"PUT /{BUCKET}/copy", spoil)
    with pytest.raises(UnknownOutcome):
        await store.blobs.copy(BlobPlace(BUCKET, "small"), NewBlob(bucket_id=BUCKET, id="copy"))


async def test_a_completion_whose_answer_is_lost_is_looked_up(store: Store, proxy: Proxy) -> None:
    async def lost(asked: Asked, carry_out: Handler) -> Reply:
        return replace(await carry_out(asked), cut=0)

    async def sized(asked: Asked, carry_out: Handler) -> Reply:
        reply = await carry_out(asked)
        return replace(reply, headers={**reply.headers, "content-length": str(len(CONTENT))})

    proxy.spoil(f"POST /{BUCKET}/*", lost, calls=1, passing=1)
    proxy.spoil(f"HEAD /{BUCKET}/*", sized, calls=None)
    new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=len(CONTENT))
    blob = await store.blobs.write(new, in_chunks(CONTENT))
    assert blob.size_bytes == len(CONTENT)
    assert await content(store) == CONTENT


async def test_what_is_larger_than_a_store_takes_is_refused_before_anything_is_sent(
    store: Store, proxy: Proxy
) -> None:
    before = len(proxy.asked)
    new = NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=MOST_BYTES + 1)
    with pytest.raises(Invalid):
        await store.blobs.write(new, in_chunks(CONTENT))
    assert len(proxy.asked) == before


async def test_a_large_copy_is_made_of_parts_and_keeps_what_is_told(
    store: Store, proxy: Proxy
) -> None:
    new = NewBlob(bucket_id=BUCKET, id=KEY, content_type="text/x-test", metadata={"colour": "blue"})
    await store.blobs.write(new, in_chunks(CONTENT))
    place = BlobPlace(BUCKET, KEY)
    copy = await store.blobs.copy(place, NewBlob(bucket_id=BUCKET, id="copy ü"))
    assert (copy.content_type, copy.metadata) == ("text/x-test", {"colour": "blue"})
    assert await content(store, "copy ü") == CONTENT
    with pytest.raises(Conflict):
        await store.blobs.copy(place, NewBlob(bucket_id=BUCKET, id="copy ü", only_new=True))
    proxy.spoil(f"PUT /{BUCKET}/*", refused(403, "AccessDenied"), calls=None, passing=2)
    with pytest.raises(CloudError):
        await store.blobs.copy(place, NewBlob(bucket_id=BUCKET, id="another"))
    proxy.mend()
    assert await uploads(store) == 0


async def test_content_at_hand_is_sent_with_its_checksum(store: Store, proxy: Proxy) -> None:
    await store.blobs.write(NewBlob(bucket_id=BUCKET, id=KEY, size_bytes=3), in_chunks(b"abc"))
    told = proxy.asked[-1].headers["x-amz-content-sha256"]
    assert told == hashlib.sha256(b"abc").hexdigest()


def test_ten_thousand_parts_are_enough_for_the_largest_blob() -> None:
    rules = Rules()
    for size in (0, 1, 80 * GIB, 80 * GIB + 1, 10**12, MOST_BYTES):
        part = rules.part_of(size)
        assert rules.part_bytes <= part <= MOST_PART_BYTES
        assert part * MOST_PARTS >= size
        assert part % MIB == 0
    sizes = [rules.growing_part(number) for number in range(1, MOST_PARTS + 1)]
    assert sum(sizes) >= MOST_BYTES
    assert max(sizes) <= MOST_PART_BYTES
    assert sizes == sorted(sizes)
