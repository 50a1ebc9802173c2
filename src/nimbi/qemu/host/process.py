"""Processes that outlive us: named so that a reused process id is never mistaken for them."""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LOOK_EVERY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process of one run of the host. `ticks` is its start time in clock ticks since boot."""

    pid: int
    ticks: int
    boot_id: str


def boot_id() -> str:
    """Return what names this run of the host: process ids of an earlier run mean nothing."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Process | None:
    """Return the process that has this id now; None when there is none, or only its remains."""
    ticks = _start_ticks(pid)
    return None if ticks is None else Process(pid=pid, ticks=ticks, boot_id=boot_id())


def alive(process: Process) -> bool:
    """Say whether this very process still runs."""
    return _start_ticks(process.pid) == process.ticks and boot_id() == process.boot_id


def _start_ticks(pid: int) -> int | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name, in parentheses, may hold anything. Source: proc(5), fields 3, 20 and 22.
    fields = text[text.rindex(")") + 2 :].split()
    # While other threads of it end, what looks like remains still holds its files and their locks.
    is_over = fields[0] == "X" or (fields[0] == "Z" and int(fields[17]) <= 1)
    return None if is_over else int(fields[19])


def with_argument(argument: str) -> list[Process]:
    """Return our own processes that have `argument` as one whole argument on their command line."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if argument.encode() in arguments and entry.stat().st_uid == os.geteuid():
                found.append(identify(int(entry.name)))
    return [process for process in found if process]


def works_in(process: Process, directory: Path) -> bool:
    """Say whether this directory, by whatever name, is where the process works."""
    with contextlib.suppress(OSError):
        return (PROC / str(process.pid) / "cwd").samefile(directory)
    return False


def kill(process: Process, by: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal, or end the process at once. One that has ended already is left as it is."""
    with contextlib.suppress(ProcessLookupError):
        # Once the descriptor is open, the id cannot come to mean another process.
        descriptor = os.pidfd_open(process.pid)
        try:
            if alive(process):
                signal.pidfd_send_signal(descriptor, by)
        finally:
            os.close(descriptor)


async def ended(process: Process, within_s: float) -> bool:
    """Wait until the process has ended, and say whether it did in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while alive(process):
        if loop.time() >= end:
            return False
        await asyncio.sleep(LOOK_EVERY_S)
    return True
