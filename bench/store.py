"""A store of S3 that keeps nothing: the other side of the measures of blobs. Run: PORT SIZE."""

import asyncio
import base64
import hashlib
import sys
from urllib.parse import urlsplit

import uvloop

CHUNK = 256 * 1024
ZEROS = bytes(CHUNK)

BEGUN = (
    b"<InitiateMultipartUploadResult><UploadId>upload</UploadId></InitiateMultipartUploadResult>"
)
ENDED = b'<CompleteMultipartUploadResult><ETag>"0-1"</ETag></CompleteMultipartUploadResult>'
PLACE = b"<LocationConstraint>eu-west-1</LocationConstraint>"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    try:
        while True:
            await one(reader, writer, size)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _version = lines[0].split(" ")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
    if headers.get("expect"):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    etag = await drained(reader, headers)
    query = urlsplit(target).query
    body = b""
    if method == "POST":
        body = BEGUN if "uploads" in query else ENDED
    if method == "GET" and query:
        body = PLACE  # the one question that clients have beside: ?location
    is_blob = method in {"GET", "HEAD"} and not body
    length = size if is_blob else len(body)
    writer.write(
        f'HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: "{etag}"\r\n'
        "Content-Type: application/octet-stream\r\n"
        "Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\n".encode()
    )
    writer.write(body)
    for start in range(0, size if is_blob and method == "GET" else 0, CHUNK):
        writer.write(ZEROS[: size - start])
        await writer.drain()


async def drained(reader: asyncio.StreamReader, headers: dict[str, str]) -> str:
    """Read the body; return its MD5 when the client compares it, else what it told, or none."""
    left = int(headers.get("content-length", 0))
    told = headers.get("content-md5")
    # s3cmd has no name, and compares what it gets.
    found = None if told or "user-agent" in headers else hashlib.md5()
    while left:
        chunk = await reader.read(min(left, 1 << 20))
        if not chunk:
            raise ConnectionError
        left -= len(chunk)
        if found:
            found.update(chunk)
    if found:
        return found.hexdigest()
    return base64.b64decode(told).hex() if told else "0-1"


async def serve(port: int, size: int) -> None:
    server = await asyncio.start_server(
        lambda r, w: answer(r, w, size), "127.0.0.1", port, limit=1 << 20
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
