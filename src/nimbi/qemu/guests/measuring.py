"""What guests use of the machine: processor, memory, disks, network, measured from time to time.

Each guest's last measurements are in a file of its directory: all servers on one state directory
share them, one of them measures, and they outlive the servers.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import QemuError
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP, Record, lives, load, now
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host.files import locked
from nimbi.qemu.host.process import PROC

FILE = "measured.json"
LOCK = "measuring.lock"

EVERY_S = 60.0
KEPT = 60
BUSY_S = 5.0
FRESH_S = 10.0
"""What is asked for is measured anew only when the last time was longer ago."""

STALE_S = 3 * EVERY_S
MIB = 2**20
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
TAP = "iff:\t"
TIMES = ("at", "started_at")

Counters = dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a guest's QEMU has used from its start to `at`.

    `run` names that QEMU: counters begin anew with the next one. `network` is None where the host
    cannot count what the guest sends: in a network of its own, without a tap.
    """

    run: int
    started_at: datetime
    at: datetime
    cpus: int
    cpu_s: float
    memory_bytes: int
    guest_memory_bytes: int
    disk: Counters
    network: Counters | None


@dataclass(frozen=True, kw_only=True)
class Used:
    """What a guest has used between two measurements, or from its start to the first one."""

    at: datetime
    cpu_percent: float
    memory_bytes: int
    disk: Counters
    network: Counters | None


class Meter:
    """Measures the guests of a store."""

    def __init__(self, guests: GuestStore) -> None:
        self._guests = guests
        self._at_work = False

    async def keep_up(self, records: list[Record]) -> None:
        """Measure the guests that run and whose last time is long enough ago.

        At once when another call is at it.
        """
        if self._at_work:
            return
        self._at_work = True
        try:
            due = await asyncio.to_thread(self._due, records, EVERY_S)
            for record in due:
                await self._measure(record, EVERY_S)
        finally:
            self._at_work = False

    async def measured(self, record: Record) -> list[Measured]:
        """Return the last measurements of a guest, oldest first, up to now when it runs."""
        if await asyncio.to_thread(self._due, [record], FRESH_S):
            await self._measure(record, FRESH_S)
        return await asyncio.to_thread(read, self._guests.directory(record.id))

    def _due(self, records: list[Record], every_s: float) -> list[Record]:
        return [record for record in records if lives(record) and self._age_s(record) >= every_s]

    def _age_s(self, record: Record) -> float:
        try:
            written_at = (self._guests.directory(record.id) / FILE).stat().st_mtime
        except FileNotFoundError:
            return float("inf")
        return now().timestamp() - written_at

    async def _measure(self, record: Record, every_s: float) -> None:
        directory = self._guests.directory(record.id)
        # A guest that is on its way out, or whose QEMU is busy, is measured another time.
        with suppress(QemuError, OSError):
            # Somebody may be at it: what they find is waited for, and is fresh enough then.
            async with locked(directory / LOCK, within_s=BUSY_S):
                if self._age_s(record) >= every_s:
                    measured = await measure(directory, record)
                    if measured is not None:
                        await asyncio.to_thread(_keep, directory, measured)


async def measure(directory: Path, record: Record) -> Measured | None:
    """Return what a guest has used; None when it does not run. Raises QemuError, OSError."""
    process = record.process
    if process is None or record.started_at is None:
        return None
    async with conversation(directory / QMP) as talk:
        disks = await talk.ask("query-blockstats")
    used = await asyncio.to_thread(_of_process, process.pid)
    return Measured(
        run=process.ticks,
        started_at=record.started_at,
        at=now(),
        cpus=record.cpus,
        guest_memory_bytes=record.memory_mib * MIB,
        disk=_of_disks(disks),
        **used,
    )


def _of_disks(disks: list[dict[str, Any]]) -> Counters:
    # Source: QMP reference, query-blockstats: BlockDeviceStats.
    names = {
        "read_bytes": "rd_bytes",
        "write_bytes": "wr_bytes",
        "reads": "rd_operations",
        "writes": "wr_operations",
    }
    return {
        name: sum(int(disk["stats"].get(theirs, 0)) for disk in disks)
        for name, theirs in names.items()
    }


def _of_process(pid: int) -> dict[str, Any]:
    text = (PROC / str(pid) / "stat").read_text()
    # Source: proc(5); fields 14 and 15 are ticks of the processor, 24 pages of memory.
    fields = text[text.rindex(")") + 2 :].split()
    return {
        "cpu_s": round((int(fields[11]) + int(fields[12])) * TICK_S, 2),
        "memory_bytes": int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        "network": _of_network(pid),
    }


def _of_network(pid: int) -> Counters | None:
    """Return the sums over all taps that a process holds, seen from the guest."""
    taps = set(_taps(pid))
    if not taps:
        return None
    # The process is within the network namespace where its taps are.
    lines = (PROC / str(pid) / "net/dev").read_text().splitlines()[2:]
    rows = [line.replace(":", " ").split() for line in lines]
    # Source: proc(5), /proc/net/dev. What the host receives from a tap, the guest has sent.
    columns = {"out_bytes": 1, "out_packets": 2, "in_bytes": 9, "in_packets": 10}
    return {
        name: sum(int(row[column]) for row in rows if row[0] in taps)
        for name, column in columns.items()
    }


def _taps(pid: int) -> Iterator[str]:
    for entry in (PROC / str(pid) / "fdinfo").iterdir():
        # Files come and go while they are looked at.
        with suppress(OSError):
            for line in entry.read_text().splitlines():
                if line.startswith(TAP):
                    yield line.removeprefix(TAP)


def _keep(directory: Path, measured: Measured) -> None:
    """Put a measurement to the others; of those that came in between only the last one stays."""
    kept = read(directory)
    if len(kept) > 1 and (measured.at - kept[-2].at).total_seconds() < EVERY_S:
        kept.pop()
    kept = [*kept, measured][-KEPT:]
    fields = [asdict(m) | {name: getattr(m, name).isoformat() for name in TIMES} for m in kept]
    # A power cut may take it: then it is measured anew.
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".tmp-")
    with os.fdopen(descriptor, "w") as out:
        json.dump(fields, out)
    Path(temporary).replace(directory / FILE)


def read(directory: Path) -> list[Measured]:
    """Return the measurements of the guest that lives in `directory`, oldest first."""
    try:
        fields = json.loads((directory / FILE).read_bytes())
        return [_measured(each) for each in fields]
    except (OSError, ValueError, TypeError, KeyError):
        # What cannot be read is measured anew.
        return []


def _measured(fields: dict[str, Any]) -> Measured:
    times = {name: datetime.fromisoformat(fields[name]) for name in TIMES}
    return Measured(**{**fields, **times})


def used(kept: list[Measured]) -> list[Used]:
    """Return what was used from one measurement to the next, oldest first.

    The first one of each run of QEMU is counted from its start, unless older ones are forgotten.
    """
    # Of a full file the first one stands for all that was forgotten.
    pairs = pairwise([*kept[:1], *kept] if len(kept) < KEPT else kept)
    return [
        _between(before if before.run == one.run and before is not one else _nothing(one), one)
        for before, one in pairs
    ]


def _nothing(one: Measured) -> Measured:
    """Return what a guest had used when its QEMU was started."""
    network = None if one.network is None else dict.fromkeys(one.network, 0)
    zeros = dict.fromkeys(one.disk, 0)
    return replace(one, at=one.started_at, cpu_s=0.0, disk=zeros, network=network)


def _between(start: Measured, end: Measured) -> Used:
    took_s = max((end.at - start.at) / timedelta(seconds=1), TICK_S)
    percent = 100 * (end.cpu_s - start.cpu_s) / (took_s * end.cpus)
    return Used(
        at=end.at,
        # QEMU itself takes some time too, beside the guest's own.
        cpu_percent=round(min(max(percent, 0.0), 100.0), 2),
        memory_bytes=end.memory_bytes,
        disk=_less(end.disk, start.disk),
        network=None if end.network is None else _less(end.network, start.network or {}),
    )


def _less(end: Counters, start: Counters) -> Counters:
    # A disk or card that was taken out takes its count along.
    return {name: max(0, count - start.get(name, 0)) for name, count in end.items()}


def running(root: Path) -> Iterator[tuple[Record, Measured]]:
    """Yield the guests of a state directory that run, each with its last measurement.

    Starts nothing and asks no QEMU; a guest that was not measured lately is left out.
    """
    for directory in sorted((root / "guests").glob("i-*")):
        record = load(directory)
        if record is None or not lives(record):
            continue
        kept = read(directory)
        if kept and (now() - kept[-1].at).total_seconds() < STALE_S:
            yield record, kept[-1]
