"""Networks to test in, of which nothing leaves this machine, and real guests in them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO

from nimbi.qemu import Image
from nimbi.qemu.guests import ssh
from nimbi.qemu.guests.keys import generate
from nimbi.qemu.guests.launch import launch
from nimbi.qemu.guests.seed import Seed, iso
from nimbi.qemu.host.engine import KERNEL_OPTIONS, QEMU, SANDBOX, TCG
from nimbi.qemu.host.execution import Outcome
from nimbi.qemu.host.process import Process, kill
from nimbi.qemu.host.programs import run
from nimbi.qemu.images.store import DISK, INITRD, KERNEL
from nimbi.qemu.network import cards, metadata
from nimbi.qemu.network.fabric import Fabric
from nimbi.qemu.network.plan import (
    ANYWHERE,
    FIRST_SLOT,
    LOCAL,
    Card,
    Opening,
    Plan,
    PlannedFirewall,
    PlannedNetwork,
    Protocol,
    Publication,
    mac,
)
from nimbi.qemu.network.rights import enter_network

HOST, OUTSIDE = "198.18.0.1", "198.18.0.2"
"""This machine's address in the tests, and one of the world around. RFC 2544: for tests."""

BOOT_S = 120.0
LOOK_EVERY_S = 0.1

GREETER = """
import socketserver, sys
class Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(f"hello {self.client_address[0]}".encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
with Server((sys.argv[1], int(sys.argv[2])), Greeter) as server:
    print("ready", flush=True)
    server.serve_forever()
"""


RESOLVER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], 53))
    print("ready", flush=True)
    while True:
        asked, client = server.recvfrom(2000)
        end = asked.index(0, 12) + 5
        head = asked[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
        answer = bytes.fromhex("c00c 0001 0001 0000003c 0004 c6120707")
        server.sendto(head + asked[12:end] + answer, client)
"""
RESOLVED = "198.18.7.7"
"""What the resolver of the tests says to every question."""


@dataclass(frozen=True)
class World:
    """A network that takes the place of this machine's own, and one outside of it."""

    here: int
    outside: int

    def greeting(
        self, address: str, port: int, *, outside: bool = False
    ) -> AbstractContextManager[None]:
        """Have a server that says hello to the address of who comes."""
        return self._serving(self.outside if outside else self.here, GREETER, address, port)

    @contextmanager
    def resolving(self) -> Iterator[None]:
        """Have a server for names where this machine has it, at its own address or on loopback."""
        lines = map(str.split, Path("/etc/resolv.conf").read_text().splitlines())
        resolver = next(words[1] for words in lines if words[:1] == ["nameserver"])
        subprocess.run(["ip", "address", "replace", f"{resolver}/32", "dev", "lo"], check=True)
        with self._serving(self.here, RESOLVER, resolver):
            yield

    @contextmanager
    def _serving(self, place: int, program: str, *arguments: object) -> Iterator[None]:
        command = (
            *("nsenter", f"--net=/proc/{place}/ns/net"),
            *(sys.executable, "-c", program, *map(str, arguments)),
        )
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                line(process.stdout)
                yield
            finally:
                process.kill()


def line(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    return stream.readline()


@contextmanager
def world() -> Iterator[World]:
    """Put this thread, with the programs that it starts, into a network of its own."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    with _place() as here, _place() as outside:
        inside = f"nsenter --net=/proc/{here.pid}/ns/net"
        beyond = f"nsenter --net=/proc/{outside.pid}/ns/net"
        script = f"""set -e
            {inside} ip link set lo up
            {beyond} ip link set lo up
            {inside} ip link add out type veth peer name back
            {inside} ip link set back netns {outside.pid}
            {inside} ip address add {HOST}/30 dev out
            {inside} ip link set out up
            {beyond} ip address add {OUTSIDE}/30 dev back
            {beyond} ip link set back up
            {inside} ip route add default via {OUTSIDE}"""
        subprocess.run(["sh", "-c", script], check=True)
        _enter(Path(f"/proc/{here.pid}/ns/net"))
        try:
            yield World(here.pid, outside.pid)
        finally:
            _enter(Path(f"/proc/self/fd/{own}"))
            os.close(own)


def _enter(namespace: Path) -> None:
    enter_network(namespace, namespace.stat().st_ino)


@contextmanager
def _place() -> Iterator["subprocess.Popen[bytes]"]:
    command = ["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            line(process.stdout)
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class LabGuest:
    """A real guest on the fabric. Port 22 is published at `port` of this machine."""

    card: Card
    port: int
    directory: Path
    process: Process
    private_key: str

    async def run(self, command: str, within_s: float = 60) -> Outcome:
        """Run a command in the guest, through the gate."""
        console = (self.directory / "console.log").read_bytes()
        place = ssh.Place(
            address=str(LOCAL), port=self.port, user="root", host_keys=ssh.host_keys(console)
        )
        return await ssh.run(place, command, self.private_key, within_s=within_s)

    async def said(self, command: str, within_s: float = 60) -> str:
        """Return what a command printed, on either output."""
        ended = await self.run(f"({command}) 2>&1", within_s)
        return ended.out.decode("utf-8", "replace")

    @property
    def qmp(self) -> Path:
        return self.directory / "qmp.sock"


OPEN = PlannedFirewall(
    id="fw-ssh",
    openings=(Opening(protocol=Protocol.TCP, port_from=22, port_to=22, blocks=(ANYWHERE,)),),
)
A = PlannedNetwork(id="net-a", subnets=(IPv4Network("10.83.0.0/24"), IPv4Network("10.83.1.0/24")))
B = PlannedNetwork(id="net-b", subnets=(IPv4Network("10.84.0.0/24"),))


def card(name: str, network: PlannedNetwork, ip: str, **changes: object) -> Card:
    """Return the first card of a guest behind the firewall OPEN."""
    made = Card(
        guest_id=name,
        slot=FIRST_SLOT,
        network_id=network.id,
        mac=mac(name),
        ip=IPv4Address(ip),
        names=(name,),
        firewall_ids=(OPEN.id,),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def plan_of(*cards: Card, firewalls: tuple[PlannedFirewall, ...] = (), port: int = 23001) -> Plan:
    """Return a plan with these cards in their networks, port 22 of each published."""
    networks = tuple(n for n in (A, B) if any(c.network_id == n.id for c in cards))
    ways = tuple(
        Publication(address=LOCAL, port=port + number, to=card.ip, to_port=22)
        for number, card in enumerate(cards)
    )
    return Plan(networks=networks, firewalls=(OPEN, *firewalls), cards=cards, publications=ways)


async def boot(fabric: Fabric, image: Image, directory: Path, card: Card, port: int) -> LabGuest:
    """Start a guest whose card has been applied; `ready` waits until it serves."""
    await asyncio.to_thread(directory.mkdir)
    public, private = generate("ed25519")
    seed = Seed(instance_id=card.guest_id, host_name=card.guest_id, public_keys=(public,))
    (directory / "seed.iso").write_bytes(iso(seed))
    base = ("-F", "qcow2", "-b", image.path / DISK)
    await run("qemu-img", "create", "-q", "-f", "qcow2", *base, directory / "disk.qcow2", "1G")
    inside = await fabric.inside()
    line = f"console=ttyS0 quiet panic=1 {KERNEL_OPTIONS['tcg']}"
    arguments = (
        *(QEMU, "-name", f"guest={card.guest_id}", "-nodefaults", "-no-user-config"),
        *("-machine", "pc", *TCG, "-m", "96", "-display", "none", "-sandbox", SANDBOX),
        *("-kernel", image.path / KERNEL, "-initrd", image.path / INITRD, "-append", line),
        *("-serial", "file:console.log", "-qmp", "unix:qmp.sock,server=on,wait=off"),
        *("-drive", "if=virtio,file=disk.qcow2,format=qcow2"),
        *("-drive", "if=virtio,file=seed.iso,format=raw,readonly=on"),
        *cards.arguments([card]),
    )
    process = await launch([*inside.prefix, *arguments], directory)
    return LabGuest(card, port, directory, process, private)


async def ready(guest: LabGuest) -> None:
    """Wait until a guest serves."""
    await until(lambda: b"nimbi: ready" in (guest.directory / "console.log").read_bytes(), BOOT_S)


async def until(true: Callable[[], bool], within_s: float = 30) -> None:
    """Wait until something is true, or fail."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while not true():
        assert loop.time() < end
        await asyncio.sleep(LOOK_EVERY_S)


def end(guest: LabGuest) -> None:
    kill(guest.process)


def tell(file: Path, card: Card, user_data: bytes = b"") -> Card:
    """Return the card with a document for its guest, written to `file`."""
    facts = metadata.Facts(
        instance_id=card.guest_id,
        host_name=card.guest_id,
        ip=str(card.ip),
        mac=card.mac,
        image_id="img-1",
        instance_type="small",
        public_keys={"mine": f"ssh-ed25519 AAAA {card.guest_id}"},
        user_data=user_data,
    )
    metadata.write(file, facts)
    return replace(card, metadata=file)
