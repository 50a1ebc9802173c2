"""What this machine can bear: memory and disk are never promised twice."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from nimbi.qemu.errors import Capacity
from nimbi.qemu.guests.record import DISK, RECORD, Record, Wanted, lives, lost_with_host
from nimbi.qemu.guests.spec import MIN_MEMORY_MIB
from nimbi.qemu.host.files import UNFINISHED

OVERHEAD_MIB = 96
"""QEMU's own memory beside the guest's: 32 MiB of translated code, devices, network."""

HOST_MEMORY_MIB = 512
"""Left to the host and its server."""

HOST_DISK_MIB = 1024
GROWING: Mapping[str, tuple[str, int]] = {
    "guests": ("disk_gib", 1024),
    "volumes": ("size_gib", 1024),
    "snapshots": ("reserved_mib", 1),
}
"""What has disks, by directory: the field of the record that tells the full size, its MiB."""

PROMISED = "promised"
"""File in a workspace of images: the MiB that its owner may fill."""

CPU_SHARE = 16
"""Virtual processors to one real one, over all running guests: idle guests cost next to none."""


def check_memory(wanted: Record, others: Iterable[Record]) -> None:
    """Raise Capacity unless the guest can run beside all others that run or shall run."""
    running = [record for record in others if _counts(record) and record.id != wanted.id]
    total, available = _memory_mib()
    promised = sum(record.memory_mib + OVERHEAD_MIB for record in running)
    need = wanted.memory_mib + OVERHEAD_MIB
    left = total - HOST_MEMORY_MIB - promised
    if need > min(left, available):
        raise Capacity(f"{need} MiB of memory are needed, {max(0, min(left, available))} are left")
    real = os.cpu_count() or 1
    if wanted.cpus > real:
        raise Capacity(f"{wanted.cpus} processors are asked for, the machine has {real}")
    if wanted.cpus + sum(record.cpus for record in running) > real * CPU_SHARE:
        raise Capacity(f"all {real * CPU_SHARE} virtual processors are given away")


def largest() -> tuple[int, int]:
    """Return the most processors and the most memory (MiB) of a guest that is alone here."""
    total, _ = _memory_mib()
    return os.cpu_count() or 1, max(MIN_MEMORY_MIB, total - HOST_MEMORY_MIB - OVERHEAD_MIB)


def check_disk(need_mib: int, root: Path) -> None:
    """Raise Capacity unless all disks could grow to their full size beside so much more.

    `root` is the state directory. The caller holds its admission lock until the new disk is there.
    """
    left = left_mib(root)
    if need_mib > left:
        raise Capacity(f"{need_mib} MiB of disk are needed, {max(0, left)} MiB are left")


def left_mib(root: Path) -> int:
    """Return how much of the disk nobody has been promised. It may be negative."""
    promised = sum(_still_to_grow(root / place, *size) for place, size in GROWING.items())
    promised += sum(_still_to_come(file) for file in root.glob(f"images/{UNFINISHED}*/{PROMISED}"))
    return shutil.disk_usage(root).free // 2**20 - HOST_DISK_MIB - promised


def has_room(place: Path) -> bool:
    """Say whether files at this place can grow, with what is left to the host untouched."""
    return shutil.disk_usage(place).free // 2**20 > HOST_DISK_MIB


def _counts(record: Record) -> bool:
    if record.wanted is Wanted.RUNNING and record.error is None:
        return record.process is None or lost_with_host(record) or lives(record)
    return lives(record)


def _still_to_grow(place: Path, field: str, unit_mib: int) -> int:
    total = 0
    for file in place.glob(f"[!.]*/{RECORD}"):
        # What vanishes between two looks promises nothing any more.
        with suppress(FileNotFoundError):
            full_mib = json.loads(file.read_bytes())[field] * unit_mib
            total += max(0, full_mib - allocated_mib(file.with_name(DISK)))
    return total


def _still_to_come(promise: Path) -> int:
    """Return what may still be written to a workspace that was promised room."""
    with suppress(FileNotFoundError, ValueError):
        files = [file for file in promise.parent.rglob("*") if file.is_file()]
        return max(0, int(promise.read_text()) - sum(map(allocated_mib, files)))
    return 0


def allocated_mib(disk: Path) -> int:
    """Return what a file takes of the disk; nothing when it is not there."""
    try:
        return disk.stat().st_blocks * 512 // 2**20
    except FileNotFoundError:
        return 0


def _memory_mib() -> tuple[int, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return kib["MemTotal"] // 1024, kib["MemAvailable"] // 1024
