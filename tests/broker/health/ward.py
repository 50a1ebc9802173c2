"""A broker that looks after instances, with machines and a mail server that are really there."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.broker.whole import Whole, open_whole

from nimbi.broker.access import ADMIN
from nimbi.broker.destinations import Destinations
from nimbi.broker.health.health import Health
from nimbi.broker.health.mail import MailServer
from nimbi.broker.health.watching import Pace
from nimbi.broker.work import Schedules, WorkGround, kinds
from nimbi.jobs import Jobs
from nimbi.jobs import Pace as JobPace
from nimbi.model.alerts import Alert
from nimbi.model.checks import HealthCheck, NewCheck, Probe, ProbeKind
from nimbi.model.instances import Instance, InstanceState
from nimbi.store.jobs import JobStore
from nimbi.store.schedules import ScheduleStore

QUICK = Pace(look_s=0.02, lease_s=5.0)
QUICK_JOBS = JobPace(lease_s=5.0, keep_s=0.5, look_s=0.05, idle_look_s=0.05)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LOCAL = "127.0.0.1"
NOBODY = "127.0.0.77"


@dataclass
class Machine:
    """A server of one port. It says `greeting` at once, and `answer` to what it is asked.

    One that is not `is_up` breaks connections off; `taken` is what it was asked.
    """

    greeting: bytes = b""
    answer: bytes = OK
    is_up: bool = True
    is_mute: bool = False
    port: int = 0
    taken: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.is_up:
                writer.write(self.greeting)
                self.taken.append(await reader.read(4096))
                if not self.is_mute:
                    writer.write(self.answer)
                    await writer.drain()
                else:
                    await reader.read()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def standing(machine: Machine, tls: ssl.SSLContext | None = None) -> AsyncIterator[Machine]:
    """Have a machine answer on a port of its own until the block ends."""
    server = await asyncio.start_server(machine.serve, LOCAL, 0, ssl=tls)
    machine.port = server.sockets[0].getsockname()[1]
    try:
        yield machine
    finally:
        server.close()


def certificate(place: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Return a new certificate for a host, which is its own authority, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = place / f"{name}.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


@dataclass
class Ward:
    """One process that looks after instances; `names` tell what hosts stand for, else this one."""

    whole: Whole
    health: Health
    jobs: Jobs
    names: dict[str, Sequence[str]]

    @property
    def database(self) -> Any:
        return self.whole.broker.database

    def shut(self) -> None:
        """Let no instance answer: their names stand for an address where nobody listens."""
        self.names.update({f"img1.inst{n}.public.com": (NOBODY,) for n in range(4)})

    def reopen(self) -> None:
        """Let instances answer again."""
        self.names.clear()

    async def check(self, port: int, id: str = "inst0", **more: Any) -> HealthCheck:
        """Make a check by tcp of an instance of the account `one`, unless another is told."""
        probe = Probe(kind=ProbeKind.TCP, port=port, timeout_s=5)
        wish: dict[str, Any] = {
            "name": "web",
            "account": "one",
            "instance_id": id,
            "probe": probe,
            "failures": 2,
            "every_s": 3600,
        }
        return await self.health.create_check(ADMIN, NewCheck(**(wish | more)))

    async def again(self, check: HealthCheck, times: int = 1) -> HealthCheck:
        """Make a check now, so many times, and whatever follows from it."""
        watcher, store = self.health._watcher, self.health._checks
        for _ in range(times):
            async with self.database.writing() as connection:
                await connection.exec_driver_sql("update checks set next_us = 0")
            for due in await store.due("test", 60, 100):
                if due.check.id == check.id:
                    watcher._results._holder = "test"
                    await watcher.check(due)
                else:
                    await store.give_back("test", due)
            await watcher.tell()
        return await self.health.check(ADMIN, check.id)

    async def alerts(self) -> tuple[Alert, ...]:
        return await self.health.alerts(ADMIN)

    async def told(self) -> list[tuple[str, str | None]]:
        """Return the events of alerts: kind and state."""
        events = await self.whole.broker.events.after(0, 1000)
        return [(e.kind.value, e.state) for e in events if e.collection == "alerts"]

    def instances(self, account: str) -> dict[str, Instance]:
        """Return what the cloud itself has."""
        found = self.whole.clouds[account].world.state.instances.whole.items
        return {one.id: one for one in found}

    def running(self, account: str) -> list[str]:
        found = self.instances(account).values()
        return sorted(one.name or one.id for one in found if one.state is InstanceState.RUNNING)


@asynccontextmanager
async def open_ward(
    url: str, place: Path, *, mail: MailServer | None = None, holder: str = "this"
) -> AsyncIterator[Ward]:
    """Give one process on a database that is ready, with the account `one`; nothing runs."""
    names: dict[str, Sequence[str]] = {}

    async def here(host: str, _port: int) -> tuple[str, ...]:
        return tuple(names.get(host, (LOCAL,)))

    async with AsyncExitStack() as stack:
        whole = await stack.enter_async_context(open_whole(url, place, private=True))
        await whole.add("one")
        broker = whole.broker
        destinations = Destinations(private=True, resolve=here)
        jobs = Jobs(
            JobStore(broker.database, broker.keyring),
            broker.leases,
            broker.database.place,
            holder=holder,
            pace=QUICK_JOBS,
        )
        health = Health(
            broker.database, broker.ground, destinations, jobs, mail, holder=holder, pace=QUICK
        )
        working = WorkGround(
            calls=broker.ground,
            people=broker.people,
            inventory=broker.inventory,
            reach=destinations.reach,
        )
        schedules = Schedules(ScheduleStore(broker.database), broker.keyring, jobs)
        jobs.add(*kinds(working, schedules, health))
        yield Ward(whole, health, jobs, names)
