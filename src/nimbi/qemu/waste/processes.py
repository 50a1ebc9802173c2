"""Processes of a state directory that no record names."""

import contextlib
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nimbi.qemu.guests.record import Wanted, load
from nimbi.qemu.host.engine import QEMU
from nimbi.qemu.host.files import UNFINISHED, try_lock
from nimbi.qemu.host.process import PROC, Process, ended, identify, kill
from nimbi.qemu.waste.files import is_held
from nimbi.qemu.waste.item import Waste

GUEST = re.compile(r"guest=(i-[0-9a-f]{16})")
KILL_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process that runs now: its program's name, its arguments and where it was started.

    `directory` is empty for one that may not be looked into, as pasta.
    """

    process: Process
    program: str
    arguments: tuple[str, ...]
    directory: str


def running() -> Iterator[Running]:
    """Yield all processes that may be looked into: our own, and for root everybody's."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                found = _running(entry)
                if found is not None:
                    yield found


def _running(entry: Path) -> Running | None:
    process = identify(int(entry.name))
    words = (entry / "cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    directory = ""
    with contextlib.suppress(OSError):
        directory = str((entry / "cwd").readlink())
    if process is None or not words[0]:
        return None
    program = Path(words[0]).name
    return Running(
        process=process, program=program, arguments=tuple(words[1:]), directory=directory
    )


def is_below(directory: str, root: Path) -> bool:
    """Say whether a process works in a state directory, or in a removed part of it."""
    return f"{directory}/".startswith(f"{root.resolve()}/")


def of(root: Path) -> list[Running]:
    """Return the processes that work in a state directory, or on its files."""
    start = f"{root.resolve()}/"
    return [
        found
        for found in running()
        if is_below(found.directory, root) or any(a.startswith(start) for a in found.arguments)
    ]


def guests(root: Path) -> Iterator[Waste]:
    """Find QEMUs of guests that are not there, and second ones of guests that are."""
    for found in running():
        if found.program == QEMU and is_below(found.directory, root):
            named = next(filter(None, map(GUEST.fullmatch, found.arguments)), None)
            if named and (why := _unowned(root, named[1], found.process)):
                remove = partial(_end_guest, root, named[1], found.process)
                yield _waste(found, why, remove)


def builders(root: Path) -> Iterator[Waste]:
    """Find programs that go on making something for a server that was killed."""
    inside = re.compile(rf"{re.escape(str(root.resolve()))}/[^/]+/{re.escape(UNFINISHED)}[^/ ]+")
    for found in running():
        places = filter(None, map(inside.match, (found.directory, *found.arguments)))
        work = next((Path(place[0]) for place in places), None)
        if work and not is_held(work / "lock"):
            yield _waste(found, "its builder was killed", partial(_end, found.process))


def _waste(found: Running, why: str, remove: Callable[[], Awaitable[bool]]) -> Waste:
    what = f"{found.program} (process {found.process.pid})"
    return Waste(kind="process", what=what, why=why, remove=remove)


def _unowned(root: Path, id: str, process: Process) -> str | None:
    """Return why a QEMU is nobody's; None when a record claims it, or a server will look."""
    record = load(root / "guests" / id)
    if record is None:
        return f"there is no guest {id}"
    if record.process == process or record.launching or record.wanted is Wanted.GONE:
        return None
    return f"it is not the one of guest {id}"


async def _end_guest(root: Path, id: str, process: Process) -> bool:
    (root / "locks").mkdir(mode=0o700, exist_ok=True)
    lock = try_lock(root / "locks" / f"{id}.work")
    if lock is None:
        return False
    try:
        return bool(_unowned(root, id, process)) and await _end(process)
    finally:
        os.close(lock)


async def _end(process: Process) -> bool:
    kill(process)
    return await ended(process, KILL_S)
