"""Whether the installed passt keeps a guest from this machine's loopback, found out by trying.

A guest may send any frame, also one to 127.0.0.1. The passt of 2023 makes a connection of it, to a
service of this machine, whatever its options say. What version it is, it does not always know.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Failed, Missing, QemuError
from nimbi.qemu.host.files import locked, private_directory, write_json
from nimbi.qemu.host.process import Process, alive, boot_id
from nimbi.qemu.host.programs import program
from nimbi.qemu.network.daemons import start, stop, words

RECORD = "passt.json"
SOCKET = "passt.sock"
START_S = 5.0
ANSWER_S = 2.0
LEAK_S = 0.5
LOOK_EVERY_S = 0.01
LEAKS = "the installed passt would let guests reach this machine's loopback"

GUEST_MAC = bytes.fromhex("020000000001")
GUEST, GATEWAY = IPv4Address("10.0.2.15"), IPv4Address("10.0.2.2")
LOOPBACK = IPv4Address("127.0.0.1")
BROADCAST = b"\xff" * 6
ARP, IPV4 = 0x0806, 0x0800
TCP, UDP = 6, 17
FROM_PORT = 40000


async def refusal(root: Path, options: Sequence[str]) -> str:
    """Return why passt with these options is not for guests, or an empty text when it is.

    The answer is remembered below `root` for this run of the machine and this very program; that
    passt does not run here at all, as without a network, is tried again each time.
    """
    try:
        path = program("passt")
    except Missing as error:
        return str(error)
    stat = path.stat()
    key = [boot_id(), str(path), stat.st_mtime_ns, stat.st_size, *options]
    record = private_directory(root / "network") / RECORD
    async with locked(private_directory(root / "locks") / "passt-trial.lock"):
        known = _remembered(record, key)
        if known is not None:
            return known
        try:
            found = LEAKS if await _leaks(path, options) else ""
        except (OSError, QemuError) as error:
            return f"passt does not work here: {error}"
        write_json(record, {"key": key, "refusal": found})
        return found


def _remembered(record: Path, key: list[Any]) -> str | None:
    with contextlib.suppress(FileNotFoundError, KeyError, TypeError, ValueError):
        kept = json.loads(record.read_bytes())
        if kept["key"] == key:
            return str(kept["refusal"])
    return None


async def _leaks(path: Path, options: Sequence[str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="nimbi-passt-") as made:
        async with _passt(path, Path(made), options) as guest:
            return await _try(guest)


@asynccontextmanager
async def _passt(
    path: Path, directory: Path, options: Sequence[str]
) -> AsyncGenerator[socket.socket]:
    """Give the end that QEMU has of a passt."""
    own = ("--runas", "0") if os.geteuid() == 0 else ()
    log = directory / "passt.log"
    command = [path, "--foreground", "--quiet", "--one-off", *own, *options]
    process = await start([*command, "--tcp-ports", "none", "--socket", SOCKET], log)
    try:
        await _until_there(directory / SOCKET, process, log)
        guest = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with guest:
            guest.setblocking(False)
            await asyncio.get_running_loop().sock_connect(guest, str(directory / SOCKET))
            yield guest
    finally:
        await stop(process)


async def _until_there(file: Path, process: Process, log: Path) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + START_S
    while not await asyncio.to_thread(file.exists):
        if not alive(process) or loop.time() > end:
            raise Failed(words(log) or "it said nothing")
        await asyncio.sleep(LOOK_EVERY_S)


async def _try(guest: socket.socket) -> bool:
    """Send what a hostile guest may, and say whether any of it arrives at the loopback here."""
    loop = asyncio.get_running_loop()
    with socket.socket() as service, socket.socket(type=socket.SOCK_DGRAM) as other:
        for each in (service, other):
            each.bind((str(LOOPBACK), 0))
            each.setblocking(False)
        service.listen()
        mac = await _ask_for_gateway(guest)
        segment = _tcp_syn(service.getsockname()[1])
        await loop.sock_sendall(guest, _framed(_ipv4(mac, TCP, segment)))
        await loop.sock_sendall(guest, _framed(_ipv4(mac, UDP, _udp(other.getsockname()[1]))))
        if await _anything(service, other):
            return True
        # What ends at such frames is no use either.
        await _ask_for_gateway(guest)
        return False


async def _anything(service: socket.socket, other: socket.socket) -> bool:
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    for each in (service, other):
        loop.add_reader(each, heard.set)
    try:
        async with asyncio.timeout(LEAK_S):
            await heard.wait()
    except TimeoutError:
        return False
    finally:
        for each in (service, other):
            loop.remove_reader(each)
    return True


async def _ask_for_gateway(guest: socket.socket) -> bytes:
    """Return the gateway's hardware address. Raises Failed when passt does not answer."""
    asked = struct.pack("!HHBBH", 1, IPV4, 6, 4, 1) + GUEST_MAC + GUEST.packed
    asked += bytes(6) + GATEWAY.packed
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(guest, _framed(_ethernet(BROADCAST, ARP, asked)))
    try:
        async with asyncio.timeout(ANSWER_S):
            while True:
                frame = await _received(guest)
                if frame[12:14] == struct.pack("!H", ARP) and frame[20:22] == b"\0\2":
                    return frame[22:28]
    except TimeoutError:
        raise Failed("it does not answer") from None


async def _received(guest: socket.socket) -> bytes:
    (length,) = struct.unpack("!I", await _exactly(guest, 4))
    return await _exactly(guest, length)


async def _exactly(guest: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < count:
        more = await loop.sock_recv(guest, count - len(data))
        if not more:
            raise Failed("it closed the connection")
        data += more
    return data


def _framed(frame: bytes) -> bytes:
    # Source: QEMU's stream network: each frame has its length before it.
    return struct.pack("!I", len(frame)) + frame


def _ethernet(to: bytes, kind: int, payload: bytes) -> bytes:
    return to + GUEST_MAC + struct.pack("!H", kind) + payload


def _ipv4(to: bytes, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    head += GUEST.packed + LOOPBACK.packed
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return _ethernet(to, IPV4, head + payload)


def _tcp_syn(port: int) -> bytes:
    # With an MSS, as every system sends it.
    mss = struct.pack("!BBH", 2, 4, 1460)
    syn = struct.pack("!HHIIBBHHH", FROM_PORT, port, 1, 0, 6 << 4, 2, 65535, 0, 0) + mss
    return syn[:16] + struct.pack("!H", _checksum(_pseudo(TCP, syn) + syn)) + syn[18:]


def _udp(port: int) -> bytes:
    return struct.pack("!HHHH", FROM_PORT, port, 13, 0) + b"hello"


def _pseudo(protocol: int, payload: bytes) -> bytes:
    return GUEST.packed + LOOPBACK.packed + struct.pack("!BBH", 0, protocol, len(payload))


def _checksum(data: bytes) -> int:
    # Source: RFC 1071.
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
