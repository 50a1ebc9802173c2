"""How a disk boots, and whether it is whole: read from its first sectors."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from nimbi.qemu.errors import Invalid

SECTOR = 512
HEAD_BYTES = 2**20
"""Of the disk, from its start: as much as a table of 128 partitions needs, and more."""

CODE_BYTES = 440
SIGNATURE = b"\x55\xaa"
GPT = b"EFI PART"
ENTRIES_AT_MOST = 1024
PROTECTIVE, EFI_OLD = 0xEE, 0xEF
EXTENDED = frozenset({0x05, 0x0F, 0x85})
EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
SIDES = ("bios", "uefi")


@dataclass(frozen=True)
class Partition:
    """Where a partition ends, in sectors, and whether it is an EFI system partition."""

    end: int
    is_efi: bool


def boot_modes(head: bytes, disk_bytes: int) -> tuple[str, ...]:
    """Return "bios", "uefi" or both, from the start of a disk of `disk_bytes`.

    BIOS is preferred where both go: it needs no firmware file. Raises Invalid for a disk that
    nothing boots from, and for one that is cut off, whose partitions end behind its end.
    """
    if head[510:512] != SIGNATURE:
        raise Invalid("the image has no boot sector: no machine boots from it")
    partitions = list(_of_gpt(head) if head[SECTOR:].startswith(GPT) else _of_old_table(head))
    last = max((p.end for p in partitions), default=0)
    if last * SECTOR > disk_bytes:
        raise Invalid(
            f"the image is cut off: its partitions take {last * SECTOR} bytes, it has {disk_bytes}"
        )
    found = (any(head[:CODE_BYTES]), any(p.is_efi for p in partitions))
    modes = tuple(side for side, there in zip(SIDES, found, strict=True) if there)
    if not modes:
        raise Invalid("the image has no boot code and no EFI system partition")
    return modes


def _of_gpt(head: bytes) -> Iterator[Partition]:
    """Source: UEFI Specification 2.10, tables 5.5 and 5.6."""
    start, count, size = struct.unpack_from("<72xQII", head, SECTOR)
    if not (0 < count <= ENTRIES_AT_MOST and 128 <= size <= 4096):
        raise Invalid("the image's partition table is damaged")
    for number in range(count):
        entry = head[start * SECTOR + number * size :][:128]
        if len(entry) == 128 and any(entry[:16]):
            kind = UUID(bytes_le=entry[:16])
            yield Partition(
                end=struct.unpack_from("<40xQ", entry)[0] + 1, is_efi=kind == EFI_SYSTEM
            )


def _of_old_table(head: bytes) -> Iterator[Partition]:
    for at in range(446, 510, 16):
        kind, first, sectors = struct.unpack_from("<4xB3xII", head, at)
        if kind and kind != PROTECTIVE:
            yield Partition(end=first + sectors, is_efi=kind == EFI_OLD)
