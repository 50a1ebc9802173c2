"""HTTP as stand-ins for clouds need it: requests read whole, answers written as badly as wanted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from yarl import URL

# Of one connection, which every answer closes: what is wrong with one touches no other request.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


@dataclass(frozen=True)
class Asked:
    """One request. Names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The parameters of a query-protocol request, from the URL or the body."""
        is_form = "x-www-form-urlencoded" in self.headers.get("content-type", "")
        text = self.body.decode() if is_form else urlsplit(self.target).query
        return dict(parse_qsl(text, keep_blank_values=True))

    @property
    def action(self) -> str:
        """What is asked: `RunInstances`, or for a request to S3 `PUT /bucket/key`."""
        return self.form.get("Action", f"{self.method} {urlsplit(self.target).path}")

    def with_form(self, form: Mapping[str, str]) -> "Asked":
        """Return the same request with other parameters."""
        return Asked(self.method, self.target, self.headers, urlencode(form).encode())


@dataclass(frozen=True)
class Reply:
    """One answer. With `cut`, the connection is reset after so many bytes of head and body.

    `dribbles` sends it byte by byte; `held` sends it when the event is set.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    dribbles: bool = False
    held: asyncio.Event | None = None

    def lines(self, *, has_body: bool) -> bytes:
        head = [f"HTTP/1.1 {self.status} Told"]
        told = {"content-type": "text/xml;charset=UTF-8", **self.headers}
        if has_body:
            told["content-length"] = str(len(self.body))
        head += [f"{name}: {value}" for name, value in told.items()]
        return "\r\n".join([*head, "connection: close", "", ""]).encode("latin-1")


Handler = Callable[[Asked], Awaitable[Reply]]


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked:
    """Return the next request. Raises IncompleteReadError when the client is gone."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _version = lines[0].split(" ")
    pairs = (line.partition(":") for line in lines[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


async def write_reply(writer: asyncio.StreamWriter, asked: Asked, reply: Reply) -> None:
    """Send an answer, as badly as it wants to be sent."""
    if reply.held is not None:
        await reply.held.wait()
    has_content = reply.status not in (204, 304)
    is_head = asked.method == "HEAD"
    whole = reply.lines(has_body=has_content and not is_head)
    if has_content and not is_head:
        whole += reply.body
    whole = whole[: reply.cut]
    for part in (whole[i : i + 1] for i in range(len(whole))) if reply.dribbles else (whole,):
        writer.write(part)
        await writer.drain()
    if reply.cut is not None:
        # Give the kernel the bytes before the reset takes what is unsent with it.
        await asyncio.sleep(0)
        writer.transport.abort()


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Answer requests on a free port of the loopback; give the URL. Ends what is under way."""
    under_way: set[asyncio.Task[None]] = set()
    failures: list[Exception] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await read_request(reader, writer)
            await write_reply(writer, asked, await handler(asked))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        except Exception as error:  # noqa: BLE001  told to the test at the end
            failures.append(error)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(answer(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    if failures:
        raise ExceptionGroup("the stand-in failed", failures)


@asynccontextmanager
async def forwarding(url: str) -> AsyncIterator[Handler]:
    """Give a handler that has another server on this machine answer, such as moto."""
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=False
    ) as client:

        async def forward(asked: Asked) -> Reply:
            headers = {k: v for k, v in asked.headers.items() if k not in HOP_BY_HOP}
            async with client.request(
                asked.method,
                URL(url + asked.target, encoded=True),
                headers=headers,
                data=asked.body,
                skip_auto_headers=("Content-Type", "User-Agent"),
                allow_redirects=False,
            ) as answer:
                told = {k.lower(): v for k, v in answer.headers.items()}
                kept = {k: v for k, v in told.items() if k not in HOP_BY_HOP or _is_head(asked, k)}
                return Reply(answer.status, await answer.read(), kept)

        yield forward


def _is_head(asked: Asked, name: str) -> bool:
    """Return whether a header tells a length that no body of this answer shows."""
    return asked.method == "HEAD" and name == "content-length"
