"""Programs that outlive us, found again by what stands on their command lines."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nimbi.qemu.errors import Failed
from nimbi.qemu.host.process import PROC, Process, alive, ended, identify, kill
from nimbi.qemu.host.programs import SAID_AT_MOST, run

# The shell leaves the program behind as an orphan. What guests make it say cannot fill the disk:
# beyond 2 MiB its writes fail, and nothing else happens.
ORPHAN = 'trap "" XFSZ; ulimit -f 4096; "$@" </dev/null >"$0" 2>&1 & echo $!'
SHELLS = {"sh", "dash", "bash"}
END_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A running program, and the argument by which it was found."""

    process: Process
    argument: str


def found(prefix: str) -> list[Daemon]:
    """Return our own running programs that have an argument with this start, the oldest first."""
    start = os.fsencode(prefix)
    daemons = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (argument := _argument(entry, start)) is not None:
            process = identify(int(entry.name))
            if process and _ours(entry):
                daemons.append(Daemon(process=process, argument=os.fsdecode(argument)))
    return sorted(daemons, key=lambda daemon: (daemon.process.ticks, daemon.process.pid))


def _argument(entry: Path, start: bytes) -> bytes | None:
    try:
        first, *others = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    # The shell that starts a program has the same arguments.
    if Path(os.fsdecode(first)).name in SHELLS:
        return None
    return next((argument for argument in others if argument.startswith(start)), None)


def _ours(entry: Path) -> bool:
    """Say whether a process has our user.

    The owner of its directory is another one for programs that may not be traced, as pasta.
    """
    try:
        status = (entry / "status").read_text("utf-8", "replace")
    except OSError:
        return False
    user = status.partition("\nUid:")[2].split(None, 1)[0]
    return int(user) == os.getuid()


def network_of(pid: int) -> int | None:
    """Return the inode of a process's network namespace; None when it cannot be known."""
    try:
        return (PROC / str(pid) / "ns/net").stat().st_ino
    except OSError:
        return None


async def start(arguments: Sequence[str | Path], log: Path) -> Process:
    """Start a program in a session of its own, with its output in `log`, and return it.

    Raises Failed when it has ended already.
    """
    said = await run("sh", "-c", ORPHAN, log, *arguments, cwd=log.parent)
    process = identify(int(said))
    if process is None:
        raise Failed(f"{log.stem} ended at once: {words(log)}")
    return process


def words(log: Path) -> str:
    """Return the end of what a program has said."""
    try:
        return log.read_text("utf-8", "replace").strip()[-SAID_AT_MOST:]
    except FileNotFoundError:
        return ""


async def stop(process: Process) -> None:
    """End a program now."""
    await asyncio.to_thread(kill, process)
    if not await ended(process, END_S):
        raise Failed(f"process {process.pid} cannot be ended")


def is_alive(process: Process | None) -> bool:
    """Say whether there is a process, and it runs."""
    return process is not None and alive(process)
