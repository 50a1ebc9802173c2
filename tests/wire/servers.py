"""A server that does on the wire exactly what a test tells it to, and authorities for TLS."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Connection:
    """One accepted connection, and what was read from it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes] = field(default_factory=list)

    async def head(self) -> bytes:
        """Return the request line and headers of the next request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        return head

    async def body(self) -> bytes:
        """Return the body of the request whose head came last, with its framing when chunked."""
        head = self.requests[-1].lower()
        if b"transfer-encoding: chunked" in head:
            return await self.reader.readuntil(b"0\r\n\r\n")
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self.reader.readexactly(int(length or 0))

    async def answer(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def whole(self, body: bytes = b"", status: bytes = b"200 OK", more: bytes = b"") -> None:
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), more)
        await self.answer(head + body)

    def reset(self) -> None:
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Return when the client closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


@dataclass
class Site:
    """A running server."""

    url: str
    connections: list[Connection] = field(default_factory=list)

    @property
    def requests(self) -> list[bytes]:
        return [head for connection in self.connections for head in connection.requests]


@asynccontextmanager
async def serving(
    behaviour: Callable[[Connection], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Site]:
    """Serve each connection by `behaviour` on a free port of the loopback interface."""
    site = Site("")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        site.connections.append(connection)
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behaviour(connection)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    site.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield site
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def echo(connection: Connection) -> None:
    """Answer every request of a connection with its head and body."""
    while True:
        head = await connection.head()
        await connection.whole(head + await connection.body(), more=b"X-Kind: Echo\r\n")


async def settled(progress: list[int]) -> int:
    """Return the length of a list that other tasks add to, once they get no further."""
    still = 0
    while still < 500:
        before = len(progress)
        await asyncio.sleep(0)
        still = still + 1 if len(progress) == before else 0
    return len(progress)


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its certificate as a file, and a server's side of TLS."""

    ca_file: Path
    tls: ssl.SSLContext


def authority(place: Path, name: str, host: str = "127.0.0.1") -> Authority:
    """Make an authority in a directory, and a certificate of its own for `host`, an address."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    ca_file, key_file = place / f"{name}.pem", place / f"{name}.key"
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(ca_file, key_file)
    return Authority(ca_file, tls)
