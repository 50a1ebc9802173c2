"""State directory, disk, memory, limits and clock."""

import ctypes
import os
import resource
import shutil
from pathlib import Path

from nimbi.qemu.doctor.finding import Finding, Host, Verdict
from nimbi.qemu.errors import Unusable
from nimbi.qemu.guests.spec import MIN_MEMORY_MIB
from nimbi.qemu.host.capacity import HOST_DISK_MIB, HOST_MEMORY_MIB, OVERHEAD_MIB
from nimbi.qemu.state import layout

FEW_DISK_MIB = 4 * 1024
FEW_FILES = 1024
"""A server holds a handful of descriptors a guest: monitors, consoles, published ports."""

LOST = ("guests and images are lost at the next boot", "use a directory on a disk")
AWAY = (
    "locks and disks of guests fail when its server is away",
    "use a directory on a disk of this machine",
)
FILE_SYSTEMS = {
    **dict.fromkeys(("tmpfs", "ramfs"), LOST),
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p"), AWAY),
    "overlay": ("guests and images go when this container goes", "mount a volume there"),
}
"""Kind: what follows from it, and how to mend it. Others are as good as any disk's."""

ESCAPED = {r"\040": " ", r"\011": "\t", r"\134": "\\"}
CLOCK_ERROR = 5
"""adjtimex(2): the clock is not synchronized."""

TIMEX_BYTES = 512
"""More than any struct timex; nothing in it is set, so nothing is changed."""


async def state(host: Host) -> Finding:
    """Look at its owner, mode and version, and for entries that are somebody else's."""
    root = host.state
    try:
        version = layout.usable(root)
    except Unusable as error:
        return _unusable(f"{error.place}: {error}")
    if not root.exists():
        return Finding(found=f"{root} will be made at the first start")
    foreign = _foreign(root, host.uid)
    if foreign:
        return Finding(
            verdict=Verdict.LIMITED,
            found=f"{len(foreign)} entries are not ours, such as {foreign[0]}",
            follows="what is in them can't be used",
            mend=f"chown -R {layout.user(host.uid)} {root}",
        )
    mode = root.stat().st_mode & 0o777
    if mode != layout.MODE:
        return Finding(
            verdict=Verdict.LIMITED,
            found=f"{root} has mode {mode:04o}",
            follows="other users may enter it; the next start shuts it",
            mend=f"chmod 0700 {root}",
        )
    told = "new" if version is None else f"version {version}"
    if version is not None and version < layout.NEWEST:
        told += f", the next start makes it {layout.NEWEST}"
    return Finding(found=f"{root}, {told}")


def _unusable(found: str) -> Finding:
    return Finding(
        verdict=Verdict.MISSING,
        found=found,
        follows="the local cloud can't be opened",
        mend="use another state directory (NIMBI_STATE_DIR), or its owner's account",
    )


def _foreign(root: Path, uid: int) -> list[str]:
    """Return entries of the upper two levels that belong to somebody else."""
    entries = [*root.glob("*"), *root.glob("*/*")]
    return sorted(str(path.relative_to(root)) for path in entries if path.lstat().st_uid != uid)


async def disk(host: Host) -> Finding:
    """Look for room for guests, on a file system that keeps them and that knows locks."""
    place = next(path for path in (host.state, *host.state.parents) if path.exists())
    kind = _file_system(host, place)
    free = shutil.disk_usage(place).free // 2**20
    found = f"{free // 1024} GiB free on {kind or 'an unknown file system'}"
    if kind in FILE_SYSTEMS:
        follows, mend = FILE_SYSTEMS[kind]
    elif free < HOST_DISK_MIB + FEW_DISK_MIB:
        follows = f"{HOST_DISK_MIB} MiB are kept free: few guests, or none, can be made"
        mend = "make room, or use a state directory on another disk"
    else:
        return Finding(found=found)
    return Finding(verdict=Verdict.LIMITED, found=found, follows=follows, mend=mend)


def _file_system(host: Host, place: Path) -> str | None:
    """Return the kind of file system that a directory is on. Source: proc(5), mountinfo."""
    best, kind = -1, None
    for line in (host.read("proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        for escape, meant in ESCAPED.items():
            point = point.replace(escape, meant)
        # A later mount on the same place covers an earlier one.
        if place.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), after.split()[0]
    return kind


async def memory(host: Host) -> Finding:
    """Count the smallest guests that there is room for."""
    lines = (host.read("proc/meminfo") or "").splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    free = kib.get("MemAvailable", 0) // 1024
    guests = max(0, free - HOST_MEMORY_MIB) // (MIN_MEMORY_MIB + OVERHEAD_MIB)
    found = f"{free} MiB free, enough for {guests} of the smallest guests"
    if guests:
        return Finding(found=found)
    return Finding(
        verdict=Verdict.LIMITED,
        found=found,
        follows=f"no guest can be started: {HOST_MEMORY_MIB} MiB are left to the host",
        mend="end other programs, or stop guests",
    )


async def open_files(host: Host) -> Finding:
    """Say how many descriptors this user's processes may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} a process (up to {hard})"
    if soft >= FEW_FILES:
        return Finding(found=found)
    return Finding(
        verdict=Verdict.LIMITED,
        found=found,
        follows="a server with many guests or clients runs out of them",
        mend=f"ulimit -n {min(hard, 4 * FEW_FILES)}, or LimitNOFILE= in the service",
    )


async def clock(host: Host) -> Finding:
    """Ask the kernel whether anything keeps its clock right: guests take their time from it."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    if answer < 0:
        return Finding(
            verdict=Verdict.LIMITED, found=f"not known: {os.strerror(ctypes.get_errno())}"
        )
    if answer != CLOCK_ERROR:
        return Finding(found="it is kept in step")
    return Finding(
        verdict=Verdict.LIMITED,
        found="nothing keeps it in step",
        follows="guests' clocks go as wrong as this one: logins by certificates may fail",
        mend="apt install systemd-timesyncd, or chrony; in a container: on its host",
    )
