"""Blobs on their way through the gateway."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from nimbi.driver.blobs import Blobs
from nimbi.gateway.limits import Limits
from nimbi.model.buckets import BlobContent, NewBlob
from nimbi.model.errors import CloudError, Conflict, Invalid, Timeout
from nimbi.model.images import ImageContent, NewUpload

pytestmark = pytest.mark.looptime

NEW = NewBlob(bucket_id="u", id="b")
LIMITS = Limits(idle_s=10, deadline_s=30)


async def slowly(count: int, pause_s: float, last_s: float = 0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause_s)
        yield b"x"
    await asyncio.sleep(last_s)


async def swallow(_new: NewBlob, chunks: AsyncIterator[bytes]) -> int:
    return sum([len(chunk) async for chunk in chunks])


async def test_a_slow_upload_may_take_longer_than_any_deadline(make_cloud, script, looptime):
    script["blobs.write"] = [swallow]
    assert await make_cloud(LIMITS).blobs.write(NEW, slowly(100, 7)) == 100
    assert looptime == 700


async def test_the_chunks_of_an_upload_can_be_named(cloud, script):
    script["blobs.write"] = [swallow]
    assert await cloud.call(Blobs.write, NEW, chunks=slowly(2, 0)) == 2


async def test_an_upload_without_chunks_is_an_error_of_the_program(cloud):
    with pytest.raises(TypeError, match="chunks"):
        await cloud.call(Blobs.write, NEW)


async def test_an_upload_that_stands_still_is_a_timeout(make_cloud, script, looptime):
    script["blobs.write"] = [swallow]
    with pytest.raises(Timeout, match=r"blobs\.write in time"):
        await make_cloud(LIMITS).blobs.write(NEW, slowly(3, 3600))
    assert looptime == 10


async def test_a_cloud_that_takes_no_chunk_is_a_timeout(make_cloud, script, looptime):
    async def stall(_new, chunks):
        async for _chunk in chunks:
            await asyncio.sleep(3600)

    script["blobs.write"] = [stall]
    with pytest.raises(Timeout):
        await make_cloud(LIMITS).blobs.write(NEW, slowly(3, 4))
    assert looptime == 4 + 10


async def test_the_answer_after_the_last_chunk_has_the_deadline_of_a_call(
    make_cloud, script, looptime
):
    async def think(_new, chunks):
        async for _chunk in chunks:
            pass
        await asyncio.sleep(3600)

    script["blobs.write"] = [think]
    with pytest.raises(Timeout):
        await make_cloud(LIMITS).blobs.write(NEW, slowly(1, 1))
    assert looptime == 1 + 30


async def test_an_error_of_the_callers_own_chunks_comes_back_as_it_is(cloud, script):
    class Disconnected(Exception):
        pass

    async def broken():
        yield b"x"
        raise Disconnected

    script["blobs.write"] = [swallow]
    with pytest.raises(Disconnected) as raised:
        await cloud.blobs.write(NEW, broken())
    assert raised.value.__cause__ is None


async def test_a_driver_that_hides_the_callers_error_hides_nothing(cloud, script):
    async def wrap(_new, chunks):
        try:
            return await swallow(_new, chunks)
        except LookupError as error:
            raise ValueError("wrapped") from error

    async def broken():
        raise LookupError("mine")
        yield b""

    script["blobs.write"] = [wrap]
    with pytest.raises(LookupError, match="mine"):
        await cloud.blobs.write(NEW, broken())


async def test_a_driver_that_swallows_the_callers_error_has_not_succeeded(cloud, script):
    async def torn(_new, chunks):
        try:
            return await swallow(_new, chunks)
        except LookupError:
            return 0

    async def broken():
        raise LookupError("mine")
        yield b""

    script["blobs.write"] = [torn]
    with pytest.raises(LookupError, match="mine"):
        await cloud.blobs.write(NEW, broken())


async def test_errors_of_an_upload_are_mapped(cloud, script):
    script["blobs.write"] = [KeyError("x")]
    with pytest.raises(Conflict) as raised:
        await cloud.blobs.write(NEW, slowly(1, 0))
    assert isinstance(raised.value.__cause__, KeyError)


async def test_a_driver_that_stops_reading_gets_no_chunk_later(cloud, script):
    kept = []

    async def first_only(_new, chunks):
        kept.append(chunks)
        return await anext(chunks)

    script["blobs.write"] = [first_only]
    assert await cloud.blobs.write(NEW, slowly(2, 0)) == b"x"
    with pytest.raises(StopAsyncIteration):
        await anext(kept[0])


async def opened(make_cloud, script, blob, chunks) -> BlobContent:
    script["blobs.read"] = [BlobContent(blob(), 0, 5, chunks)]
    return await make_cloud(LIMITS).blobs.read("u", "b")


async def test_a_slow_download_may_take_longer_than_any_deadline(
    make_cloud, script, blob, looptime
):
    content = await opened(make_cloud, script, blob, slowly(100, 9))
    assert content.size_bytes == 6
    assert len([chunk async for chunk in content.chunks]) == 100
    assert looptime == 900


async def test_a_download_that_stands_still_is_a_timeout(make_cloud, script, blob, looptime):
    content = await opened(make_cloud, script, blob, slowly(1, 1, last_s=3600))
    assert await anext(content.chunks) == b"x"
    with pytest.raises(Timeout):
        await anext(content.chunks)
    assert looptime == 11


@pytest.mark.parametrize(
    ("error", "mapped"), [(KeyError("x"), Conflict), (OSError("x"), CloudError)]
)
async def test_errors_within_a_download_are_mapped(make_cloud, script, blob, error, mapped):
    async def broken():
        yield b"x"
        raise error

    content = await opened(make_cloud, script, blob, broken())
    assert await anext(content.chunks) == b"x"
    with pytest.raises(mapped) as raised:
        await anext(content.chunks)
    assert raised.value.__cause__ is error


async def test_an_error_of_the_clouds_within_a_download_is_raised_as_it_is(
    make_cloud, script, blob
):
    async def broken():
        raise Conflict("c")
        yield b""

    content = await opened(make_cloud, script, blob, broken())
    with pytest.raises(Conflict) as raised:
        await anext(content.chunks)
    assert raised.value.__cause__ is None


async def test_a_download_that_is_given_up_is_closed_at_the_cloud(make_cloud, script, blob):
    ended = []

    async def chunks():
        try:
            yield b"1"
            yield b"2"
        finally:
            ended.append(True)

    content = await opened(make_cloud, script, blob, chunks())
    assert await anext(content.chunks) == b"1"
    await content.chunks.aclose()
    assert ended == [True]


async def test_a_download_whose_chunks_cannot_be_closed_can_be_given_up(make_cloud, script, blob):
    class Chunks:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return b"x"

    content = await opened(make_cloud, script, blob, Chunks())
    assert await anext(content.chunks) == b"x"
    await content.chunks.aclose()


async def test_an_image_that_stands_still_is_a_timeout_at_the_chunk(make_cloud, script, looptime):
    script["images.read"] = [ImageContent(size_bytes=None, chunks=slowly(2, 7, last_s=3600))]
    content = await make_cloud(LIMITS).images.read("i")
    assert [await anext(content.chunks) for _ in range(2)] == [b"x", b"x"]
    with pytest.raises(Timeout, match=r"images\.read"):
        await anext(content.chunks)
    assert looptime == 24


async def test_an_image_is_sent_as_slowly_as_a_blob_is(make_cloud, script, looptime):
    script["images.upload"] = [swallow]
    new = NewUpload(name="n", format="raw")
    assert await make_cloud(LIMITS).images.upload(new, slowly(100, 7)) == 100
    assert looptime == 700


@pytest.mark.parametrize("count", [0, 1001])
async def test_as_many_blobs_are_destroyed_at_once_as_the_contract_says(cloud, count):
    with pytest.raises(Invalid, match=f"ids of blobs.destroy_many is 1 to 1000, not {count}"):
        await cloud.blobs.destroy_many("u", ("b",) * count)
