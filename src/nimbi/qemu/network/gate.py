"""The gate: a small program that hands connections of this machine on to guests.

It listens in this machine's network and connects in the fabric's, where it also tells guests about
themselves. What it does is told to it whole over its control socket, again at each change.
"""

import asyncio
import contextlib
import json
import os
import resource
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from nimbi.qemu.network.metadata import MetadataServer
from nimbi.qemu.network.nft import MARK
from nimbi.qemu.network.plan import METADATA
from nimbi.qemu.network.relay import Doorway, End, reset

SOCKET = "gate.sock"
VERSION = 1
CONNECT_S = 10.0
BACKLOG = 1024
LINE_BYTES = 2**24
SPARE_FILES = 100
"""Open files that are kept for other things than connections."""

IP_FREEBIND = 15
LOOPBACK = IPv4Network("127.0.0.0/8")


@dataclass(frozen=True, kw_only=True)
class Way:
    """Where connections to one port of this machine lead, and whose are let in."""

    to: str
    to_port: int
    admitted: tuple[IPv4Network, ...]


class Gate:
    """All listeners. Lives in the fabric's network; `host` is a thread that stayed outside."""

    def __init__(self, host: ThreadPoolExecutor, *, inside: bool) -> None:
        """`inside` says that there is a fabric around."""
        self._host = host
        self._inside = inside
        self._metadata = MetadataServer()
        self._ways: dict[tuple[str, int], Way] = {}
        self._servers: dict[tuple[str, int], asyncio.Server] = {}
        self._answering: asyncio.Server | None = None
        self._open = 0
        self._most = (_raise_limit() - SPARE_FILES) // 2

    async def set(self, state: dict[str, Any]) -> dict[str, Any]:
        """Listen to exactly what `state` says, and return what cannot be listened to, and why.

        Connections that are open stay so.
        """
        ways = {(w["address"], w["port"]): _way(w) for w in state["ways"]}
        for place in self._servers.keys() - ways.keys():
            self._servers.pop(place).close()
        self._ways = ways
        refused = {}
        for place in ways.keys() - self._servers.keys():
            try:
                self._servers[place] = await self._listen(place)
            except OSError as error:
                refused[f"{place[0]}:{place[1]}"] = os.strerror(error.errno or 0)
        self._metadata.set({IPv4Address(ip): Path(file) for ip, file in state["cards"].items()})
        if self._inside and self._answering is None:
            self._answering = await self._answer()
        return {"refused": refused}

    def status(self) -> dict[str, Any]:
        """Return what it does now."""
        return {"version": VERSION, "listeners": len(self._servers), "connections": self._open}

    async def _listen(self, place: tuple[str, int]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        listener = await loop.run_in_executor(self._host, _listener, *place)

        async def welcome(client: Doorway) -> None:
            await self._welcome(client, place)

        return await loop.create_server(lambda: Doorway(welcome), sock=listener, backlog=BACKLOG)

    async def _answer(self) -> asyncio.Server:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        listener.bind((str(METADATA), 80))
        return await asyncio.start_server(
            self._metadata.serve, sock=listener, limit=MetadataServer.HEAD_BYTES
        )

    async def _welcome(self, client: Doorway, place: tuple[str, int]) -> None:
        """Find the guest that a client wants, or end the client's connection by a reset."""
        assert client.transport is not None  # noqa: S101  it has just been made
        way = self._ways.get(place)
        source = IPv4Address(client.transport.get_extra_info("peername")[0])
        if way is None or self._open >= self._most or not admits(way, source):
            reset(client.transport)
            return
        self._open += 1
        try:
            await self._connect(client, client.transport, way, marked=source not in LOOPBACK)
        except OSError:
            if client.transport is not None:
                reset(client.transport)
        finally:
            self._open -= 1

    async def _connect(
        self, client: Doorway, transport: asyncio.Transport, way: Way, *, marked: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        taken: socket.socket = transport.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with contextlib.ExitStack() as undo:
            guest = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            undo.callback(guest.close)
            guest.setblocking(False)
            guest.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if marked and self._inside:
                guest.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(guest, (way.to, way.to_port))
            undo.pop_all()
        gone = loop.create_future()
        _, end = await loop.create_connection(lambda: _Counted(gone), sock=guest)
        if client.transport is None:
            if end.transport is not None:
                reset(end.transport)
            return
        client.join(end)
        await gone


class _Counted(End):
    """The guest's end; tells when it is over."""

    def __init__(self, gone: "asyncio.Future[None]") -> None:
        super().__init__()
        self._gone = gone

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._gone.done():
            self._gone.set_result(None)


def _way(fields: dict[str, Any]) -> Way:
    admitted = tuple(IPv4Network(block) for block in fields["admitted"])
    return Way(to=fields["to"], to_port=fields["to_port"], admitted=admitted)


def admits(way: Way, source: IPv4Address) -> bool:
    """Say whether a client is let in."""
    # All of this machine's own addresses of loopback are the same client to a firewall.
    source = LOOPBACK.network_address + 1 if source in LOOPBACK else source
    return any(source in block for block in way.admitted)


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        # At once: two who have bound the same place would else learn of it later.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _raise_limit() -> int:
    """Allow as many open files as this user may have, and return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 2**20 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


async def _control(
    gate: Gate, lock: asyncio.Lock, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one who tells the gate what to do: a line of JSON each, and one back."""
    try:
        while line := await reader.readline():
            request = json.loads(line)
            async with lock:
                answer = await gate.set(request["set"]) if "set" in request else gate.status()
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
    except (OSError, KeyError, TypeError, ValueError) as error:
        print(f"refused: {error!r}", file=sys.stderr, flush=True)  # noqa: T201  it has no other log
    finally:
        writer.close()


async def serve(host: ThreadPoolExecutor, *, inside: bool) -> None:
    """Be the gate until the end of the process, with its control socket in this directory."""
    gate, lock = Gate(host, inside=inside), asyncio.Lock()
    server = await asyncio.start_unix_server(
        lambda reader, writer: _control(gate, lock, reader, writer), SOCKET, limit=LINE_BYTES
    )
    async with server:
        await server.serve_forever()
