"""What is known about a guest: its record on disk, and the state that follows from it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from nimbi.qemu.host.files import replace_json, sync_directory
from nimbi.qemu.host.process import Process, alive, boot_id

RECORD = "record.json"
GONE = "gone.json"
"""What the record is called once the guest is wanted gone."""

SPARE = "spare"
"""Keeps room for the record: also of a guest that waits since the disk is full."""

CONSOLE = "console.log"
QMP = "qmp.sock"
EVENTS = "events.sock"
SERIAL = "serial.sock"
VNC = "vnc.sock"
AGENT = "agent.sock"
FIRMWARE = "firmware.fd"
LOG = "qemu.log"
DISK = "disk.qcow2"
SEED = "seed.iso"
GIVEN = "given.json"
READY = b"nimbi: ready"
BOOT_S = 180.0
"""A boot that takes longer has failed: 45 times that of an idle machine."""

DISK_BOOT_S = 900.0
"""The same for a guest with an operating system of its own: 15 times that of an idle machine."""

ENDED = "the guest powered itself off, or its QEMU was ended"
TIMES = ("created_at", "started_at", "stop_by")
ADDRESS = "127.0.0.1"


class State(StrEnum):
    """What a guest is doing."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"


class Wanted(StrEnum):
    """What a guest shall come to."""

    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One guest as kept on disk. Changed only under the guest's lock.

    `launching` is set before QEMU is started and cleared once `process` is known: when it is
    found set with nobody at work, a QEMU may run that nobody knows. `console_offset` is where
    the present boot begins in the console log. From `stop_by` on a guest that
    does not stop by itself is ended. `ports` is {port of the guest: port of the host}. `boot` is
    how the image starts, and `says_ready` whether it tells so on its console. `paused` follows
    what QEMU says. `trouble` is the last thing it told that nobody asked for.
    """

    id: str
    name: str
    image_id: str
    cpus: int
    memory_mib: int
    disk_gib: int
    host_name: str
    ports: Mapping[int, int]
    outgoing: bool
    labels: Mapping[str, str]
    spec_digest: str
    machine: str
    created_at: datetime
    wanted: Wanted = Wanted.RUNNING
    launching: bool = False
    rebooting: bool = False
    ready: bool = False
    process: Process | None = None
    accelerator: str = ""
    started_at: datetime | None = None
    console_offset: int = 0
    stop_by: datetime | None = None
    error: str | None = None
    boot: str = "kernel"
    says_ready: bool = True
    paused: bool = False
    trouble: str | None = None


@dataclass(frozen=True, kw_only=True)
class Guest:
    """One guest as it is now. `reason` explains a state that nobody asked for."""

    id: str
    name: str
    state: State
    reason: str | None
    image_id: str
    cpus: int
    memory_mib: int
    disk_gib: int
    host_name: str
    address: str
    ports: Mapping[int, int]
    outgoing: bool
    labels: Mapping[str, str]
    accelerator: str
    pid: int | None
    created_at: datetime
    started_at: datetime | None
    spec_digest: str = field(repr=False)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def save(directory: Path, record: Record) -> None:
    """Replace the record of a guest."""
    fields = asdict(record)
    for name in TIMES:
        fields[name] = fields[name] and fields[name].isoformat()
    replace_json(directory / RECORD, fields, directory / SPARE)


def condemn(directory: Path, record: Record) -> Record:
    """Note that a guest is wanted gone, and return its record; that works on a full disk too."""
    (directory / RECORD).replace(directory / GONE)
    sync_directory(directory)
    return replace(record, wanted=Wanted.GONE)


def load(directory: Path) -> Record | None:
    """Return the record of a guest; None when there is no such guest."""
    record = _read(directory / RECORD)
    if record is None and (gone := _read(directory / GONE)):
        return replace(gone, wanted=Wanted.GONE)
    return record


def _read(file: Path) -> Record | None:
    try:
        fields = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in TIMES:
        fields[name] = fields[name] and datetime.fromisoformat(fields[name])
    fields["wanted"] = Wanted(fields["wanted"])
    fields["process"] = fields["process"] and Process(**fields["process"])
    fields["ports"] = {int(guest): host for guest, host in fields["ports"].items()}
    return Record(**fields)


def lives(record: Record) -> bool:
    """Say whether the guest's QEMU runs."""
    return record.process is not None and alive(record.process)


def lost_with_host(record: Record) -> bool:
    """Say whether the guest's QEMU ended because the host did: it did not end by itself."""
    return record.process is not None and record.process.boot_id != boot_id()


def is_ready(directory: Path, record: Record) -> bool:
    """Say whether the guest has said, since it was started, that it serves.

    One whose image does not tell is ready once its QEMU runs.
    """
    if record.ready or not record.says_ready:
        return True
    try:
        with (directory / CONSOLE).open("rb") as console:
            console.seek(record.console_offset)
            return READY in console.read()
    except FileNotFoundError:
        return False


def took_too_long(record: Record) -> bool:
    """Say whether a guest that is not ready yet never will be."""
    started = record.started_at
    return started is not None and (now() - started).total_seconds() > _boot_s(record)


def _boot_s(record: Record) -> float:
    return BOOT_S if record.boot == "kernel" else DISK_BOOT_S


def view(directory: Path, record: Record) -> Guest:
    """Return the guest as it is now."""
    living = lives(record)
    state, reason = _state(directory, record, living)
    return Guest(
        id=record.id,
        name=record.name,
        state=state,
        reason=reason,
        image_id=record.image_id,
        cpus=record.cpus,
        memory_mib=record.memory_mib,
        disk_gib=record.disk_gib,
        host_name=record.host_name,
        address=ADDRESS,
        ports=dict(record.ports),
        outgoing=record.outgoing,
        labels=dict(record.labels),
        accelerator=record.accelerator,
        pid=record.process.pid if living and record.process else None,
        created_at=record.created_at,
        started_at=record.started_at,
        spec_digest=record.spec_digest,
    )


def _state(directory: Path, record: Record, living: bool) -> tuple[State, str | None]:
    if record.wanted is Wanted.GONE:
        return State.STOPPING, None
    if record.wanted is Wanted.STOPPED:
        busy = living or record.launching
        return (State.STOPPING if busy else State.STOPPED), None
    if record.error is not None:
        return State.ERROR, record.error
    if record.process is None or record.launching or lost_with_host(record):
        return State.PENDING, None
    if not living:
        return State.STOPPED, record.trouble or ENDED
    return _state_of_living(directory, record)


def _state_of_living(directory: Path, record: Record) -> tuple[State, str | None]:
    if record.rebooting:
        return State.PENDING, None
    if record.paused:
        return State.PAUSED, record.trouble
    if is_ready(directory, record):
        return State.RUNNING, record.trouble
    if took_too_long(record):
        return State.ERROR, f"the guest did not get ready within {_boot_s(record):g} s"
    return State.PENDING, None
