"""Requests over HTTP for blocking callers, by the standard library: it is there in no time."""

import os
import select
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

from nimbi.client.transport import CHUNK_BYTES, Answer, Request
from nimbi.model.errors import CloudError, CloudUnavailable, Invalid, Timeout, UnknownOutcome

if TYPE_CHECKING:
    from ssl import SSLContext

CONNECT_S = 10.0

# Idle connections that are kept; a program of many threads has more only while it uses them.
KEPT = 8


class HttpTransport:
    """Sends requests to one server, over connections that are used again.

    `url` is where the server is: `http://127.0.0.1:3001`, with a path when it is behind a proxy
    that has it below one. `tls` is what to trust; None is what the system trusts. Proxies are those
    of the environment. Raises Invalid for a URL that is not of HTTP.
    """

    def __init__(self, url: str, *, tls: "SSLContext | None" = None) -> None:
        self._server = _Server(url, tls)
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()
        self._closed = False

    def send(self, request: Request) -> Answer:
        connection = self._connection()
        try:
            _send(connection, request, self._server.prefix + request.target, self._server.headers)
            response = connection.getresponse()
        except BaseException as error:
            connection.close()
            fault = _fault(error, self._server.name)
            if fault is None:
                raise
            raise fault from error
        return _HttpAnswer(response, lambda whole: self._take_back(connection, whole))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connection(self) -> HTTPConnection:
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            if kept is None:
                return self._server.connect()
            if _is_quiet(kept):
                return kept
            kept.close()

    def _take_back(self, connection: HTTPConnection, whole: bool) -> None:
        if whole and connection.sock is not None:
            with self._lock:
                if not self._closed and len(self._idle) < KEPT:
                    self._idle.append(connection)
                    return
        connection.close()


class _Server:
    """Where the server is, and how to get there."""

    def __init__(self, url: str, tls: "SSLContext | None") -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            parts, host, port = urlsplit(""), None, None
        if parts.scheme not in {"http", "https"} or not host or parts.query or parts.username:
            raise Invalid("the server's URL must look like http://host:port or https://host")
        self._tls = tls
        self.name = parts.netloc
        self.prefix = parts.path.rstrip("/")
        self.headers: Mapping[str, str] = {}
        self._is_tls = parts.scheme == "https"
        self._place = (host, port or (443 if self._is_tls else 80))
        self._tunnel: tuple[tuple[str, int], Mapping[str, str]] | None = None
        if any(name.lower().endswith("_proxy") for name in os.environ):
            self._use_proxy(parts.scheme)

    def connect(self) -> HTTPConnection:
        """Return a connection that is open. Raises CloudUnavailable."""
        host, port = self._place
        connection = (
            HTTPSConnection(host, port, timeout=CONNECT_S, context=self._tls)
            if self._is_tls
            else HTTPConnection(host, port, timeout=CONNECT_S)
        )
        if self._tunnel is not None:
            (proxy, proxy_port), headers = self._tunnel
            connection.host, connection.port = proxy, proxy_port
            connection.set_tunnel(host, port, dict(headers))
        try:
            connection.connect()
        except (OSError, HTTPException, UnicodeError) as error:
            connection.close()
            raise CloudUnavailable(
                f"the server {self.name} was not reached: {_words(error)}"
            ) from error
        return connection

    def _use_proxy(self, scheme: str) -> None:
        from nimbi.wire.proxies import proxies_from_environment

        proxy = proxies_from_environment()(scheme, *self._place)
        if proxy is None:
            return
        parts = urlsplit(proxy.url)
        place = (parts.hostname or "", parts.port or 80)
        if self._is_tls:
            self._tunnel = (place, proxy.headers)
        else:
            self.prefix = f"http://{self.name}{self.prefix}"
            self.headers = {"Host": self.name, **proxy.headers}
            self._place = place


def _is_quiet(connection: HTTPConnection) -> bool:
    """Return whether the server has neither ended a kept connection nor said anything unasked."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN | select.POLLHUP)
    return not poll.poll(0)


def _send(
    connection: HTTPConnection, request: Request, target: str, more: Mapping[str, str]
) -> None:
    connection.sock.settimeout(request.timeout_s)
    headers = {**request.headers, **more}
    connection.putrequest(
        request.method, target, skip_host="Host" in headers, skip_accept_encoding=True
    )
    for name, value in headers.items():
        connection.putheader(name, value.encode("utf-8"))
    body = request.body
    if body is None or isinstance(body, bytes):
        if body is not None or request.method not in {"GET", "HEAD", "DELETE"}:
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body or None)
        return
    known = request.size_bytes
    if known is None:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(known))
    connection.endheaders()
    try:
        _send_stream(connection, body, known)
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses the request need not take its body; its answer says why.
        return


def _send_stream(connection: HTTPConnection, body: object, size_bytes: int | None) -> None:
    chunks = cast("Iterable[bytes]", body)
    if hasattr(body, "read"):
        file = cast("BinaryIO", body)
        # The kernel moves a file by itself, where nothing encrypts it on the way.
        if size_bytes and type(connection) is HTTPConnection and _is_on_disk(file):
            if connection.sock.sendfile(file, file.tell(), size_bytes) != size_bytes:
                raise Invalid("the file is shorter than was said")
            return
        chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
    if size_bytes is None:
        _send_in_chunks(connection, chunks)
    else:
        _send_counted(connection, chunks, size_bytes)


def _send_in_chunks(connection: HTTPConnection, chunks: Iterable[bytes]) -> None:
    for chunk in filter(None, chunks):
        connection.sock.sendall(b"%x\r\n" % len(chunk))
        connection.sock.sendall(chunk)
        connection.sock.sendall(b"\r\n")
    connection.sock.sendall(b"0\r\n\r\n")


def _send_counted(connection: HTTPConnection, chunks: Iterable[bytes], size_bytes: int) -> None:
    for chunk in chunks:
        size_bytes -= len(chunk)
        if size_bytes < 0:
            raise Invalid("the content is longer than was said")
        connection.sock.sendall(chunk)
    if size_bytes:
        raise Invalid("the content is shorter than was said")


def _is_on_disk(file: BinaryIO) -> bool:
    try:
        return os.path.isfile(file.fileno())  # noqa: PTH113 — of a descriptor, not of a path
    except (AttributeError, OSError):
        return False


class _HttpAnswer:
    """An answer on its connection, which `end` takes back once it was read whole."""

    def __init__(self, response: HTTPResponse, end: Callable[[bool], None]) -> None:
        self._response = response
        self._end: Callable[[bool], None] | None = end
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): _text(value) for name, value in response.getheaders()
        }
        self._reusable = not response.will_close
        if response.isclosed():
            self._finish(whole=self._reusable)

    def read(self) -> bytes:
        if self._end is None:
            return b""
        try:
            data = self._response.read()
        except (OSError, HTTPException) as error:
            self.close()
            raise _broken(error) from error
        self._finish(whole=self._reusable)
        return data

    def chunks(self) -> Iterator[bytes]:
        expected = self._response.length
        try:
            while self._end is not None:
                chunk = self._response.read1(CHUNK_BYTES)
                if not chunk:
                    # `read1` takes an early end for the end.
                    if expected is not None:
                        raise UnknownOutcome("the answer broke off")
                    self._finish(whole=self._reusable)
                    return
                if expected is not None:
                    expected -= len(chunk)
                    if not expected:
                        self._finish(whole=self._reusable)
                yield chunk
        except (OSError, HTTPException) as error:
            raise _broken(error) from error
        finally:
            self.close()

    def close(self) -> None:
        self._finish(whole=False)

    def _finish(self, *, whole: bool) -> None:
        end, self._end = self._end, None
        if end is not None:
            self._response.close()
            end(whole)


def _fault(error: BaseException, server: str) -> CloudError | None:
    """Return what an error after the connection was made means; None when it is the caller's."""
    if isinstance(error, TimeoutError):
        return Timeout(f"the server {server} kept silent for too long")
    if isinstance(error, ValueError):
        return Invalid("the request holds what HTTP cannot carry")
    if isinstance(error, OSError | HTTPException):
        return UnknownOutcome(f"the server {server} gave no whole answer: {_words(error)}")
    return None


def _broken(error: Exception) -> Exception:
    if isinstance(error, TimeoutError):
        return Timeout("the rest of the answer did not come")
    return UnknownOutcome(f"the answer broke off: {_words(error)}")


def _text(value: str) -> str:
    """Return a header's value; bytes that are not UTF-8 are read as Latin-1."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
