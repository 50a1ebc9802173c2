"""The one HTTP client of the process: what was sent, what came back, and how sure one is of it."""

import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any

import aiohttp
from yarl import URL

from nimbi.wire.destinations import Reach, is_within
from nimbi.wire.proxies import Proxy, proxies_from_environment

MIB = 2**20
LIMIT_BYTES = 64 * MIB
READ_BYTES = 16 * 1024
"""Beyond twice this, a slow reader holds up the server."""

CONNECTIONS = 1000
CONNECTIONS_PER_HOST = 250
CONNECT_S = 10.0
SILENCE_S = 120.0

# Clouds answer with larger headers than aiohttp takes unasked: 2 KiB of metadata, long policies.
_HEADER_BYTES = 64 * 1024

# What may stand in a request line; anything else could end it and begin another request.
_SENDABLE_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_SENDABLE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSENDABLE_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


class HttpError(Exception):
    """No answer can be given. No message names a header, a body or the query of a URL."""


class NotReached(HttpError):
    """Nothing of the request was sent: refused, no such host, no TLS, no way through the proxy."""


class AnswerLost(HttpError):
    """The request was sent, perhaps wholly, and no whole answer came: nobody knows its outcome."""


class TooLarge(HttpError):
    """The answer is larger than the caller wants to hold; the request was carried out."""


class Unsendable(HttpError, ValueError):
    """The request holds what HTTP cannot carry, or its body is not as long as was said.

    Nothing was sent, or a part of which no server makes a whole request.
    """


@dataclass(frozen=True)
class Request:
    """One request. `url` is sent as it is: its path and query are encoded already.

    `size_bytes` is the length of a streamed body, which then must give exactly that many bytes;
    None sends it in chunks, as long as it lasts. A request with a streamed body is sent once only.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    size_bytes: int | None = None


@dataclass(frozen=True)
class Answer:
    """One whole answer; `headers` are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Rest:
    """What is left of a body: `head` was read already, `size_bytes` more come from a socket.

    The socket does not block. It is good until the block of the stream ends.
    """

    head: bytes
    descriptor: int
    size_bytes: int


class Stream:
    """An answer whose body is read as it comes, no faster than the reader takes it."""

    def __init__(self, response: aiohttp.ClientResponse, upload: "_Upload | None") -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._upload = upload
        self._head = b""
        self._rest: Rest | None = None

    def rest(self) -> Rest | None:
        """Stop reading, and return where the body is, for whoever can have the kernel move it.

        None when its bytes come in another form than they are read (encrypted, in chunks), without
        a length, or are all here. Who begins to take them from there reads nothing here.
        """
        if self._rest is None:
            self._rest = self._stopped()
        return self._rest

    def close(self) -> None:
        """Let go of what `rest` gave."""
        if self._rest is not None:
            os.close(self._rest.descriptor)
            self._rest = None

    def _stopped(self) -> Rest | None:
        size_bytes = self._response.content_length
        content = self._response.content
        if size_bytes is None or "Transfer-Encoding" in self.headers or content.exception():
            return None
        taken: list[bytes] = []
        while chunk := content.read_nowait():
            taken.append(chunk)
        self._head = b"".join(taken)
        # Without a connection all has come, or nothing more will.
        connection = self._response.connection
        protocol = None if connection is None else connection.protocol
        transport = None if protocol is None else protocol.transport
        if protocol is None or transport is None or transport.get_extra_info("ssl_object"):
            return None
        # To take what was there lets the connection be read again, but not before the next wait.
        protocol.pause_reading()
        descriptor = os.dup(transport.get_extra_info("socket").fileno())
        return Rest(self._head, descriptor, size_bytes - content.total_bytes)

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The body, in pieces as they come. Raises AnswerLost when it ends too early."""
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        if head := self._resumed():
            yield head
        while True:
            try:
                chunk = await self._response.content.readany()
            except (aiohttp.ClientError, OSError) as error:
                raise self._lost(error) from None
            if not chunk:
                return
            yield chunk

    async def read(self, limit_bytes: int = LIMIT_BYTES) -> bytes:
        """Return the (rest of the) body. Raises TooLarge, AnswerLost."""
        told = self._response.content_length
        if told is not None and told > limit_bytes and self._response.method != "HEAD":
            raise TooLarge(f"the answer has {told} bytes, {limit_bytes} are taken")
        content = self._response.content
        head = self._resumed()
        taken = [head] if head else []
        size = len(head)
        try:
            while chunk := await content.readany():
                taken.append(chunk)
                size += len(chunk)
                if size > limit_bytes:
                    raise TooLarge(f"the answer has more than {limit_bytes} bytes")
        except (aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from None
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _resumed(self) -> bytes:
        """Go on to read after `rest`; return what came before that."""
        head, self._head = self._head, b""
        connection = self._response.connection
        if self._rest is not None and connection is not None and connection.protocol is not None:
            connection.protocol.resume_reading()
        return head

    def _lost(self, error: Exception) -> Exception:
        if self._upload is not None and self._upload.error is not None:
            return self._upload.error
        return AnswerLost(f"the answer broke off: {_words(error)}")


class HttpClient:
    """Sends requests of all tenants to all clouds over shared connections.

    It follows no redirect, keeps no cookie, unpacks nothing and repeats nothing. When the caller
    is cancelled, the connection is closed.
    """

    def __init__(
        self,
        session_of: "Callable[[Reach], aiohttp.ClientSession]",
        tls: SSLContext | bool,
        proxy_of: "_ProxyOf",
        reach: Reach = Reach.ANYWHERE,
    ) -> None:
        self._session_of = session_of
        self._session = session_of(Reach.ANYWHERE)
        self._direct = session_of(reach)
        self._tls = tls
        self._proxy_of = proxy_of

    def reaching(self, reach: Reach) -> "HttpClient":
        """Return a client that opens no connection to an address out of reach: NotReached.

        It is the very address of each connection that is looked at, whatever a name stood for
        before. Where a proxy is in between, that one decides.
        """
        return HttpClient(self._session_of, self._tls, self._proxy_of, reach)

    async def send(self, request: Request, *, limit_bytes: int = LIMIT_BYTES) -> Answer:
        """Return the whole answer. Raises NotReached, AnswerLost, TooLarge, Unsendable."""
        # Without a context manager: this is most of what Nimbi sends.
        upload = _checked(request)
        response = await self._started(request, upload)
        whole = False
        try:
            body = await Stream(response, upload).read(limit_bytes)
            whole = _is_whole(response, upload)
        finally:
            _finish(response, whole)
        return Answer(response.status, response.headers, body)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Give the answer as soon as its headers are there; its body within the block.

        A body not read to its end costs the connection. Raises as `send` does; an error that the
        body of the request raises is raised here as it is, and the request is broken off.
        """
        return self._stream(request)

    @asynccontextmanager
    async def _stream(self, request: Request) -> AsyncIterator[Stream]:
        upload = _checked(request)
        response = await self._started(request, upload)
        whole = False
        stream = Stream(response, upload)
        try:
            yield stream
            whole = _is_whole(response, upload)
        finally:
            stream.close()
            _finish(response, whole)

    async def _started(self, request: Request, upload: "_Upload | None") -> aiohttp.ClientResponse:
        url = _url(request.url)
        proxy = self._proxy_of(url.scheme, url.host or "", url.port or 0)
        session = self._session if proxy else self._direct
        try:
            return await session.request(
                request.method,
                url,
                data=upload if upload is not None else request.body or None,
                headers=_headers(request, proxy if url.scheme == "http" else None),
                allow_redirects=False,
                read_bufsize=READ_BYTES,
                ssl=self._tls,
                proxy=proxy.url if proxy else None,
                proxy_headers=proxy.headers if proxy else None,
            )
        except _NOTHING_SENT as error:
            raise NotReached(f"{url.host}: {_words(error)}") from None
        except UnicodeError:
            raise NotReached(f"{url.host}: no such name can be") from None
        except (aiohttp.ClientError, OSError) as error:
            if upload is not None and upload.error is not None:
                raise upload.error from None
            raise AnswerLost(f"{url.host}: {_words(error)}") from None


# ConnectionTimeoutError: no connection within CONNECT_S. ClientHttpProxyError: the proxy made no
# tunnel.
_NOTHING_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)

_ProxyOf = Callable[[str, str, int], "Proxy | None"]


@asynccontextmanager
async def open_client(
    *,
    connections: int = CONNECTIONS,
    connections_per_host: int = CONNECTIONS_PER_HOST,
    ca_file: Path | None = None,
    tls: SSLContext | None = None,
    connect_s: float = CONNECT_S,
    silence_s: float = SILENCE_S,
) -> AsyncIterator[HttpClient]:
    """Give a client until the block ends.

    `ca_file` (PEM) is trusted instead of the system's authorities; `tls` says all of that itself. A
    server that is silent for `silence_s` seconds in the midst of an exchange counts as gone.
    Proxies are those of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), read once. Raises
    OSError (as ssl.SSLError) for a `ca_file` that cannot be read.
    """
    trusted: SSLContext | bool = tls if tls is not None else True
    if ca_file is not None:
        trusted = create_default_context(cafile=str(ca_file))
    sessions: dict[Reach, aiohttp.ClientSession] = {}

    def session_of(reach: Reach) -> aiohttp.ClientSession:
        # A connection of one reach is never lent to another.
        if reach not in sessions:
            sessions[reach] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=connections,
                    limit_per_host=connections_per_host,
                    ttl_dns_cache=30,
                    socket_factory=None if reach is Reach.ANYWHERE else _sockets_within(reach),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "nimbi"},
                skip_auto_headers={"Content-Type"},
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=connect_s, sock_read=silence_s
                ),
                max_line_size=_HEADER_BYTES,
                max_field_size=_HEADER_BYTES,
                middlewares=(_once,),
            )
        return sessions[reach]

    try:
        yield HttpClient(session_of, trusted, proxies_from_environment())
    finally:
        for session in sessions.values():
            await session.close()


def _sockets_within(reach: Reach) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Return what makes sockets for connections, unless they would lead out of reach."""

    def made(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_within(str(address[0]), reach):
            raise PermissionError("an address that may not be called from here")
        return socket.socket(family=family, type=kind, proto=protocol)

    return made


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request once.

    aiohttp itself repeats a PUT or DELETE when a kept connection turns out dead. The first one may
    have been carried out all the same, and a conditional PUT then fails for its own success.
    """
    try:
        return await handler(request)
    except _NOTHING_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(_words(error)) from error


class _Upload:
    """A streamed body, with what became of it."""

    def __init__(self, body: AsyncIterator[bytes], size_bytes: int | None) -> None:
        self._body = body
        self._size_bytes = size_bytes
        self.ended = False
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = 0
        try:
            async for chunk in self._body:
                sent += len(chunk)
                self._check(sent, self._size_bytes)
                if chunk:
                    yield chunk
            self._check(self._size_bytes, sent)
        except Exception as error:
            self.error = error
            raise
        self.ended = True

    def _check(self, least: int | None, most: int | None) -> None:
        if least is not None and most is not None and least > most:
            raise Unsendable(f"the body is not {self._size_bytes} bytes long, as was said")


def _checked(request: Request) -> _Upload | None:
    """Return the streamed body, if it is one. Raises Unsendable."""
    if _SENDABLE_URL.fullmatch(request.url) is None:
        raise Unsendable("the URL holds characters that must be encoded, or is not of HTTP")
    for name, value in request.headers.items():
        if not value.isprintable() and _UNSENDABLE_VALUE.search(value):
            raise Unsendable(f"the header {name!r} holds characters that HTTP cannot carry")
    names = request.headers
    if names and ("" in names or _SENDABLE_NAME.fullmatch("".join(names)) is None):
        raise Unsendable("the name of a header holds characters that HTTP cannot carry")
    if isinstance(request.body, bytes):
        return None
    return _Upload(request.body, request.size_bytes)


def _is_whole(response: aiohttp.ClientResponse, upload: _Upload | None) -> bool:
    """Return whether nothing of the exchange is left, so that others may use the connection.

    A server may answer before it took the whole body.
    """
    return response.content.at_eof() and (upload is None or upload.ended)


def _finish(response: aiohttp.ClientResponse, whole: bool) -> None:
    if whole:
        response.release()
    else:
        response.close()


def _url(text: str) -> URL:
    try:
        url = URL(text, encoded=True)
        if url.host and url.port:
            return url
    except ValueError:
        pass
    raise Unsendable("the URL names no host, or a port that cannot be")


def _headers(request: Request, proxy: Proxy | None) -> Mapping[str, str]:
    """Return the headers with the length of a streamed body, and the login to a proxy.

    A request through a tunnel must not carry it: the cloud is not to see it.
    """
    headers = request.headers
    if not isinstance(request.body, bytes) and request.size_bytes is not None:
        headers = {**headers, "Content-Length": str(request.size_bytes)}
    if proxy is not None:
        headers = {**headers, **proxy.headers}
    return headers


def _words(error: Any) -> str:
    """Return what happened, without the URL that some errors of aiohttp tell."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    if isinstance(error, aiohttp.ClientResponseError):
        return "it is no HTTP"
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error) or type(error.os_error).__name__
    if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
