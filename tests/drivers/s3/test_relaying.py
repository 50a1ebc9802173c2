"""Large blobs on their way down from a store to a client, past this process."""

import asyncio
import os
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pytest
from tests.drivers.s3.conftest import LOGIN, OpenStore
from tests.wire.servers import Connection, serving

from nimbi.drivers.ec2.objects.rules import DEFAULT_RULES
from nimbi.drivertest.streams import assert_same
from nimbi.model.buckets import BlobContent, ByteRange

CONTENT = os.urandom(5_000_000)
OTHER_ETAG = '"0123456789abcdef0123456789abcdef-3"'
BASIC = b64encode(f"{LOGIN.user}:{LOGIN.password}".encode()).decode()

Behaviour = Callable[[Connection], Awaitable[None]]


def store(content: bytes = CONTENT, etag: str = OTHER_ETAG, sent: int | None = None) -> Behaviour:
    """Return a store of one blob, of which only the first `sent` bytes come."""

    async def answer(connection: Connection) -> None:
        while True:
            asked = (await connection.head()).lower()
            status, part, more = "200 OK", content, ""
            if b"\r\nrange: bytes=" in asked:
                told = asked.partition(b"\r\nrange: bytes=")[2].partition(b"\r\n")[0]
                first, last = map(int, told.split(b"-"))
                status, part = "206 Partial Content", content[first : last + 1]
                more = f"Content-Range: bytes {first}-{last}/{len(content)}\r\n"
            head = (
                f"HTTP/1.1 {status}\r\nContent-Length: {len(part)}\r\nETag: {etag}\r\n{more}"
                "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n\r\n"
            )
            # What is told of by HEAD does not come (RFC 9110, section 9.3.2).
            part = b"" if asked.startswith(b"head ") else part[:sent]
            await connection.answer(head.encode(), part)
            if sent is not None:
                return

    return answer


async def opened(
    open_store: OpenStore, behaviour: Behaviour, part: ByteRange | None
) -> BlobContent:
    """Open the blob and give it up again."""
    async with serving(behaviour) as site, open_store(site.url) as there:
        found = await there.blobs.read("bucket", "blob", part)
        await found.chunks.aclose()  # type: ignore[attr-defined]
    return found


async def test_a_large_blob_tells_its_socket(open_store: OpenStore) -> None:
    found = await opened(open_store, store(), None)
    assert found.socket is not None
    assert len(found.socket.head) + found.socket.size_bytes == len(CONTENT)


async def test_a_large_part_tells_its_socket(open_store: OpenStore) -> None:
    found = await opened(open_store, store(), ByteRange(7, 2_000_006))
    assert found.socket is not None
    assert len(found.socket.head) + found.socket.size_bytes == 2_000_000


async def test_a_small_blob_is_read(open_store: OpenStore) -> None:
    assert (await opened(open_store, store(CONTENT[:100_000]), None)).socket is None


async def test_a_blob_that_is_compared_with_its_checksum_is_read(open_store: OpenStore) -> None:
    etag = f'"{md5(CONTENT, usedforsecurity=False).hexdigest()}"'
    assert (await opened(open_store, store(etag=etag), None)).socket is None


async def test_a_blob_too_large_to_compare_tells_its_socket(open_store: OpenStore) -> None:
    etag = f'"{md5(CONTENT, usedforsecurity=False).hexdigest()}"'
    rules = replace(DEFAULT_RULES, verified_bytes=1000)
    async with serving(store(etag=etag)) as site, open_store(site.url, rules) as there:
        found = await there.blobs.read("bucket", "blob")
        assert found.socket is not None
        # Who does not know sockets reads the chunks.
        assert_same(b"".join([chunk async for chunk in found.chunks]), CONTENT)


@asynccontextmanager
async def served(url: str, place: Path) -> AsyncIterator[int]:
    """Run Nimbi on a store; give its port."""
    program = Path(sys.executable).with_name("nimbi")
    process = await asyncio.create_subprocess_exec(
        *(program, "serve", "-i", "s3", "-p", "0", "--log", place / "log"),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ
        | {"NIMBI_STATE_DIR": str(place / "state"), "AWS_ENDPOINT_URL_S3": url, "NO_PROXY": "*"},
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).strip()
        yield int(line.removesuffix(b"/api").rpartition(b":")[2])
    finally:
        process.terminate()
        await process.communicate()


async def asked(port: int, headers: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /api/buckets/bucket/blob/content HTTP/1.1\r\nHost: here\r\n"
        f"Authorization: Basic {BASIC}\r\n{headers}\r\n".encode()
    )
    return reader, writer


async def body(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return await reader.readexactly(size)


@pytest.mark.parametrize(
    ("headers", "part"),
    [("", slice(None)), ("Range: bytes=1000-3999999\r\n", slice(1000, 4_000_000))],
)
async def test_a_blob_comes_down_whole_and_the_connection_goes_on(
    tmp_path: Path, headers: str, part: slice
) -> None:
    async with serving(store()) as site, served(site.url, tmp_path) as port:
        reader, writer = await asked(port, headers)
        with closing(writer):
            assert_same(await body(reader), CONTENT[part])
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
            assert await body(reader) == b"ok"


async def test_a_blob_that_is_cut_short_is_broken_off(tmp_path: Path) -> None:
    async with serving(store(sent=4_999_999)) as site, served(site.url, tmp_path) as port:
        reader, writer = await asked(port)
        with pytest.raises(asyncio.IncompleteReadError):
            await body(reader)
        writer.close()


async def test_a_client_that_goes_closes_the_connection_to_the_store(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def endless(connection: Connection) -> None:
        await connection.head()
        length = b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n"
        try:
            await connection.answer(length, CONTENT)
            while True:
                await connection.answer(CONTENT)
        except ConnectionError:
            closed.set()

    async with serving(endless) as site, served(site.url, tmp_path) as port:
        reader, writer = await asked(port)
        await reader.readexactly(1_000_000)
        writer.transport.abort()
        await closed.wait()
