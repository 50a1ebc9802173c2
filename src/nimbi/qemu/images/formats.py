"""Disk images of strangers: what they are, by their own first bytes, and why some are refused."""

import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nimbi.qemu.errors import Invalid
from nimbi.qemu.guests.spec import MAX_DISK_GIB

SECTOR = 512
MAX_BYTES = MAX_DISK_GIB * 2**30
"""What the image may hold as the guest sees it: no guest has a larger root disk."""

HEAD_BYTES = 2**16

FOREIGN = {
    b"\x1f\x8b": "compressed by gzip",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"BZh": "compressed by bzip2",
    b"PK\x03\x04": "a zip archive",
    b"LUKS\xba\xbe": "encrypted (LUKS)",
    b"QED\0": "in the format QED",
    b"COWD": "in VMware's old sparse format",
    b"# Disk DescriptorFile": "a VMDK descriptor, whose content lies in other files",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}
"""First bytes: what a file that starts so is, none of which is imported."""

QCOW2_UNKNOWN = ~0b11001
"""Incompatible features but: dirty, compression type, extended L2 entries.
Source: docs/interop/qcow2.txt of QEMU."""

QCOW2_DATA_FILE = 0b100
VMDK_TYPES = (b"monolithicSparse", b"streamOptimized")
VMDK_DESCRIPTOR = SECTOR
"""Where QEMU looks for it, whatever the header says."""

VMDK_NO_PARENT = b"ffffffff"
VHD_COOKIE = b"conectix"
VHD_FIXED, VHD_DYNAMIC = 2, 3
SIGNATURE_AT = 510
SIGNATURE = b"\x55\xaa"


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format: QEMU's name of it, what it starts with, and what reads the rest of its header."""

    name: str
    magic: bytes
    check: Callable[[bytes, BinaryIO], None]


def recognised(path: Path) -> str:
    """Return QEMU's name of the format of a disk image that stands alone.

    No library and no program of QEMU has seen the file when this returns: a header may name other
    files, which they would open. Raises Invalid for what is not imported, with the reason.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        known = next((each for each in FORMATS if head.startswith(each.magic)), None)
        if known is not None:
            known.check(head, file)
            return known.name
        if _vhd_footer(file) is not None:
            _check_vhd(b"", file)
            return "vpc"
        _check_raw(head, file)
        return "raw"


def _check_qcow2(head: bytes, _file: BinaryIO) -> None:
    version, backing_at, _, bits, size, crypt = _unpacked(">4xIQIIQI", head)
    if version not in {2, 3}:
        raise Invalid(f"the image is a qcow of version {version}: only 2 and 3 are imported")
    features = _unpacked(">72xQ", head)[0] if version == 3 else 0
    if backing_at:
        raise Invalid("the image has a backing file: only images that stand alone are imported")
    if features & QCOW2_DATA_FILE:
        raise Invalid("the image keeps its content in an external data file")
    if crypt:
        raise Invalid("the image is encrypted")
    if features & QCOW2_UNKNOWN:
        raise Invalid("the image is marked as corrupt, or uses a feature that is not known here")
    if not 9 <= bits <= 21:
        raise Invalid(f"the image's clusters have 2^{bits} bytes")
    check_size(size)


def _check_vmdk(head: bytes, _file: BinaryIO) -> None:
    capacity, descriptor_at = _unpacked("<12xQ8xQ", head)
    descriptor = head[VMDK_DESCRIPTOR : VMDK_DESCRIPTOR + 20 * SECTOR].split(b"\0")[0]
    lines = dict(re.findall(rb"^\s*(\w+)\s*=\s*\"?([^\"\r\n]*)", descriptor, re.MULTILINE))
    # QEMU takes a capacity of 0 as the wish to read the extents of the descriptor: other files.
    if capacity == 0 or descriptor_at * SECTOR != VMDK_DESCRIPTOR:
        raise Invalid("the image's content lies in other files, or its descriptor is elsewhere")
    if lines.get(b"createType") not in VMDK_TYPES:
        raise Invalid("the image is not one file: only sparse and stream-optimized ones are taken")
    parent = lines.get(b"parentCID", VMDK_NO_PARENT).lower()
    # Anywhere, not only in a well-formed line: QEMU itself searches for the word.
    if b"parentFileNameHint" in head or parent != VMDK_NO_PARENT:
        raise Invalid("the image has a parent: only images that stand alone are imported")
    check_size(capacity * SECTOR)


def _check_vhd(head: bytes, file: BinaryIO) -> None:
    footer = _vhd_footer(file)
    if footer is None:
        raise Invalid("the image is cut off: its footer is missing")
    for told in filter(None, (head[:SECTOR], footer)):
        size, kind = _unpacked(">48xQ4xI", told)
        if kind not in {VHD_FIXED, VHD_DYNAMIC}:
            raise Invalid("the image is a differencing VHD, which needs its parent")
        check_size(size)


def _vhd_footer(file: BinaryIO) -> bytes | None:
    """Return the end of a VHD, which old programs wrote one byte too short."""
    end = file.seek(0, os.SEEK_END)
    for length in (SECTOR, SECTOR - 1):
        file.seek(max(0, end - length))
        if (found := file.read(length)).startswith(VHD_COOKIE):
            return found.ljust(SECTOR, b"\0")
    return None


def _check_vhdx(_head: bytes, file: BinaryIO) -> None:
    if file.seek(0, os.SEEK_END) < 2**20:
        raise Invalid("the image is cut off")


def _check_raw(head: bytes, file: BinaryIO) -> None:
    for magic, what in FOREIGN.items():
        if head[: len(magic)].lower() == magic.lower():
            raise Invalid(f"the file is {what}, and no disk image that can be imported")
    if head[0x40:0x44] == b"\x7f\x10\xda\xbe":
        raise Invalid("the file is in the format VDI: convert it to qcow2 first")
    if head[SIGNATURE_AT : SIGNATURE_AT + 2] != SIGNATURE:
        raise Invalid("the file is no disk image: it has no known format, and no boot sector")
    check_size(file.seek(0, os.SEEK_END))


def check_size(size_bytes: int) -> None:
    """Raise Invalid unless a guest can have a disk of this size."""
    if not SECTOR <= size_bytes <= MAX_BYTES:
        raise Invalid(f"the image's disk has {size_bytes} bytes, not {SECTOR} to {MAX_BYTES}")


def _unpacked(form: str, head: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, head)
    except struct.error:
        raise Invalid("the image is cut off within its header") from None


FORMATS = (
    Format(name="qcow2", magic=b"QFI\xfb", check=_check_qcow2),
    Format(name="vmdk", magic=b"KDMV", check=_check_vmdk),
    Format(name="vhdx", magic=b"vhdxfile", check=_check_vhdx),
    Format(name="vpc", magic=VHD_COOKIE, check=_check_vhd),
)
