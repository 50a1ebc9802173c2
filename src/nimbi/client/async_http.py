"""Requests over HTTP from an event loop, by the HTTP client that drivers use too."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from nimbi.client.transport import CHUNK_BYTES, AsyncAnswer, Request
from nimbi.model.errors import CloudUnavailable, Invalid, Timeout, UnknownOutcome
from nimbi.wire import http

if TYPE_CHECKING:
    from ssl import SSLContext

    from nimbi.client.consoles import ConsoleTicket
    from nimbi.driver.consoles import ConsoleStream

# More than any answer of the API that is read whole: pages hold at most 1000 things.
LIMIT_BYTES = 256 * 2**20

# The longest that the API waits for a state, and a moment.
SILENCE_S = 660.0


class AsyncHttpTransport:
    """As HttpTransport, in an event loop; opens its connections at the first request."""

    def __init__(self, url: str, *, tls: "SSLContext | None" = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise Invalid("the server's URL must look like http://host:port or https://host")
        self._url = url.rstrip("/")
        self._name = parts.netloc
        self._tls = tls
        self._opening = asyncio.Lock()
        self._opened = AsyncExitStack()
        self._client: http.HttpClient | None = None

    async def send(self, request: Request) -> AsyncAnswer:
        client = await self._opened_client()
        told = http.Request(
            request.method,
            self._url + request.target,
            dict(request.headers),
            _body(request.body),
            request.size_bytes,
        )
        stack = AsyncExitStack()
        try:
            # An upload takes as long as it takes.
            is_whole = request.body is None or isinstance(request.body, bytes)
            async with asyncio.timeout(request.timeout_s if is_whole else None):
                stream = await stack.enter_async_context(client.stream(told))
        except TimeoutError as error:
            raise Timeout(f"the server {self._name} kept silent for too long") from error
        except http.HttpError as error:
            raise _fault(error, self._name) from error
        return _Answer(stream, stack, self._name)

    async def console(self, ticket: "ConsoleTicket") -> "ConsoleStream":
        """Return the console behind an address that the server gave."""
        from nimbi.client.consoles import connected

        return await connected(ticket, self._tls)

    async def aclose(self) -> None:
        self._client = None
        await self._opened.aclose()

    async def _opened_client(self) -> http.HttpClient:
        async with self._opening:
            if self._client is None:
                self._client = await self._opened.enter_async_context(
                    http.open_client(tls=self._tls, silence_s=SILENCE_S)
                )
            return self._client


class _Answer:
    def __init__(self, stream: http.Stream, stack: AsyncExitStack, name: str) -> None:
        self._stream = stream
        self._stack = stack
        self._name = name
        self.status = stream.status
        self.headers: Mapping[str, str] = {n.lower(): v for n, v in stream.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._stream.read(LIMIT_BYTES)
        except http.HttpError as error:
            raise _fault(error, self._name) from error
        finally:
            await self.aclose()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream.chunks:
                yield chunk
        except http.HttpError as error:
            raise _fault(error, self._name) from error
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        await self._stack.aclose()


def _fault(error: http.HttpError, name: str) -> Exception:
    if isinstance(error, http.NotReached):
        return CloudUnavailable(f"the server was not reached: {error}")
    if isinstance(error, http.Unsendable):
        return Invalid(str(error))
    return UnknownOutcome(f"the server {name} gave no whole answer: {error}")


def _body(body: Any) -> bytes | AsyncIterator[bytes]:
    if body is None or isinstance(body, bytes):
        return body or b""
    return chunks_of(body)


async def chunks_of(
    body: BinaryIO | Iterable[bytes] | AsyncIterable[bytes],
) -> AsyncIterator[bytes]:
    """Yield a body in pieces; one that blocks is read in a thread, so that the loop goes on."""
    if isinstance(body, AsyncIterable):
        async for chunk in body:
            yield chunk
        return
    read: Any = getattr(body, "read", None)
    pieces = iter(body) if read is None else iter(lambda: read(CHUNK_BYTES), b"")
    while True:
        piece = await asyncio.to_thread(_next, pieces)
        if piece is None:
            return
        if piece:
            yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
