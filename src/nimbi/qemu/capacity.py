"""What this machine can bear: memory and disk are never promised twice."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from nimbi.qemu.errors import Capacity
from nimbi.qemu.record import DISK, Record, Wanted, lives
from nimbi.qemu.spec import MIN_MEMORY_MIB

OVERHEAD_MIB = 96
"""QEMU's own memory beside the guest's: 32 MiB of translated code, devices, network."""

HOST_MEMORY_MIB = 512
"""Left to the host and its server."""

HOST_DISK_MIB = 1024
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


def check_disk(wanted: Record, others: Iterable[Record], guests: Path) -> None:
    """Raise Capacity unless all disks could grow to their full size beside the new one."""
    promised = sum(_still_to_grow(record, guests) for record in others if record.id != wanted.id)
    left = shutil.disk_usage(guests).free // 2**20 - HOST_DISK_MIB - promised
    if wanted.disk_gib * 1024 > left:
        raise Capacity(f"{wanted.disk_gib} GiB of disk are asked for, {max(0, left)} MiB are left")


def _counts(record: Record) -> bool:
    if record.wanted is Wanted.RUNNING and record.error is None:
        return record.process is None or lives(record)
    return lives(record)


def _still_to_grow(record: Record, guests: Path) -> int:
    try:
        grown = (guests / record.id / DISK).stat().st_blocks * 512 // 2**20
    except FileNotFoundError:
        return 0
    return max(0, record.disk_gib * 1024 - grown)


def _memory_mib() -> tuple[int, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return kib["MemTotal"] // 1024, kib["MemAvailable"] // 1024
