"""Asks machines whether they are well, at their own addresses and within the operator's reach."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import httptools

from nimbi.broker.destinations import Resolve, addresses_of
from nimbi.broker.health.verdict import Outcome
from nimbi.model.accounts import Problem
from nimbi.model.checks import Probe, ProbeKind, Side
from nimbi.model.instances import AddressKind, Endpoint, Instance
from nimbi.wire.destinations import Reach, is_within

# What an address of an instance can be that a connection goes to.
REACHED = frozenset({AddressKind.IPV4, AddressKind.IPV6, AddressKind.HOSTNAME})
# RFC 4253, section 4.2: lines may come before the greeting, which has at most 255 characters.
GREETING = b"SSH-2.0-"
OLD_GREETING = b"SSH-1.99-"
LINE_BYTES = 1024
LINES = 50
# What is read of an answer until its status is known.
HEAD_BYTES = 64 * 1024
READ_BYTES = 4096

USUAL_PORTS = {ProbeKind.SSH: 22, ProbeKind.HTTP: 80}
USUAL_TLS_PORT = 443

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class NotThere(Exception):
    """The machine gave no good answer; the text says what came instead, and nothing it sent."""


class OutOfReach(Exception):
    """Nobody asked: there is no address, or the operator does not have it called."""


class Prober:
    """Asks instances. `reach` is how far the operator lets it go."""

    def __init__(self, reach: Reach, resolve: Resolve = addresses_of) -> None:
        self._reach = reach
        self._resolve = resolve

    async def ask(self, probe: Probe, instance: Instance) -> Outcome:
        """Return whether an instance answers at one of its addresses as the probe wants it."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(probe.timeout_s):
                await self._ask(probe, instance)
        except OutOfReach as error:
            return Outcome(None, None, Problem("out_of_reach", str(error)))
        except TimeoutError:
            return _bad("timeout", f"no answer within {probe.timeout_s:g} s")
        except NotThere as error:
            return _bad("refused", str(error))
        except ssl.SSLError as error:
            return _bad("tls", f"no TLS: {error.reason or 'the handshake failed'}")
        except OSError as error:
            return _bad("unreachable", error.strerror or "no connection")
        return Outcome(True, time.monotonic() - began)

    async def _ask(self, probe: Probe, instance: Instance) -> None:
        failure: Exception | None = None
        for endpoint in endpoints_of(instance, probe.side):
            port = port_of(probe, instance, endpoint)
            for address in await self._allowed(endpoint.address, port):
                try:
                    await self._ask_at(probe, address, port)
                except (OSError, NotThere) as error:
                    failure = failure or error
                else:
                    return
        raise failure or OutOfReach("the instance has no address that is known")

    async def _allowed(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses that a host stands for. Raises OutOfReach unless all may be called.

        The connection goes to the very address that was looked at: a name cannot come to stand for
        another one in between.
        """
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise NotThere("the name of the instance has no address") from None
        if not all(is_within(address, self._reach) for address in found):
            raise OutOfReach(
                "the instance has an address of this machine or of a private network: "
                "the operator allows those by private_endpoints"
            )
        return tuple(dict.fromkeys(found))

    async def _ask_at(self, probe: Probe, address: str, port: int) -> None:
        async with _connected(address, port, probe) as connection:
            asking = ASKING.get(probe.kind)
            if asking is not None:
                await asking(connection, probe, address)


def endpoints_of(instance: Instance, side: Side) -> tuple[Endpoint, ...]:
    """Return where an instance may be asked, the best first."""
    public = tuple(e for e in instance.public_addresses if e.kind in REACHED)
    private = tuple(e for e in instance.private_addresses if e.kind in REACHED)
    if side is Side.ANY:
        return public or private
    return public if side is Side.PUBLIC else private


def port_of(probe: Probe, instance: Instance, endpoint: Endpoint) -> int:
    """Return the port to ask at: the told one, then the cloud's, else the usual one.

    An address with a port of its own is that of one service.
    """
    if probe.port is not None:
        return probe.port
    if probe.kind is ProbeKind.SSH:
        login = instance.login.port if instance.login is not None else None
        return endpoint.port or login or USUAL_PORTS[ProbeKind.SSH]
    return endpoint.port or (USUAL_TLS_PORT if probe.tls else USUAL_PORTS[ProbeKind.HTTP])


@asynccontextmanager
async def _connected(address: str, port: int, probe: Probe) -> AsyncIterator[Connection]:
    tls = _tls(probe) if probe.tls and probe.kind is not ProbeKind.SSH else None
    name = _name_of(probe.host) if tls is not None else None
    reader, writer = await asyncio.open_connection(
        address,
        port,
        ssl=tls,
        server_hostname=(name or address) if tls is not None else None,
        limit=HEAD_BYTES,
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _tls(probe: Probe) -> ssl.SSLContext:
    made = ssl.create_default_context()
    if probe.host is None:
        # Nobody has a certificate for an address that a cloud gave: that it speaks TLS is all.
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _name_of(host: str | None) -> str | None:
    return None if host is None else host.rpartition(":")[0] or host


async def _greeted(connection: Connection, _probe: Probe, _address: str) -> None:
    reader, _ = connection
    for _line in range(LINES):
        try:
            line = await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            break
        if line.startswith((GREETING, OLD_GREETING)):
            return
        if len(line) > LINE_BYTES:
            break
    raise NotThere("no server of ssh greets there")


async def _answered(connection: Connection, probe: Probe, address: str) -> None:
    reader, writer = connection
    host = probe.host or (f"[{address}]" if ":" in address else address)
    head = f"GET {probe.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: nimbi\r\nAccept: */*\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode("ascii"))
    await writer.drain()
    status = await _status(reader)
    if status not in probe.statuses:
        raise NotThere(f"it answers {status}")


class _Status:
    """What a parser of answers tells: when it has the line with the status."""

    def __init__(self) -> None:
        self.is_known = False

    def on_status(self, _status: bytes) -> None:
        self.is_known = True

    def on_headers_complete(self) -> None:
        self.is_known = True


async def _status(reader: asyncio.StreamReader) -> int:
    told = _Status()
    parser = httptools.HttpResponseParser(told)
    size = 0
    try:
        while size < HEAD_BYTES and not told.is_known:
            data = await reader.read(READ_BYTES)
            if not data:
                break
            size += len(data)
            parser.feed_data(data)
    except httptools.HttpParserError:
        raise NotThere("it speaks no HTTP") from None
    if not told.is_known:
        raise NotThere("it gives no answer")
    return int(parser.get_status_code())


Asking = Callable[[Connection, Probe, str], Awaitable[None]]
ASKING: Mapping[ProbeKind, Asking] = {ProbeKind.SSH: _greeted, ProbeKind.HTTP: _answered}


def _bad(code: str, message: str) -> Outcome:
    return Outcome(False, None, Problem(code, message))
