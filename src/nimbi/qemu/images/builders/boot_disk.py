"""A disk that boots by BIOS and by UEFI, made from a tree of files without mounting anything."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from nimbi.qemu.errors import Failed, Missing
from nimbi.qemu.host.leash import run_as_root, run_leashed
from nimbi.qemu.host.programs import run

MIB = 2**20
BOOT_FIRST_MIB = 1
BOOT_MIB = 96
ROOT_FIRST_MIB = BOOT_FIRST_MIB + BOOT_MIB
SECTORS_A_MIB = MIB // 512

BIOS_CODE = Path("/usr/lib/syslinux/mbr/gptmbr.bin")
UEFI_LOADER = Path("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
BIOS_CODE_BYTES = 440
"""Of the first sector; the partition table of old follows."""

FILES = {BIOS_CODE: "syslinux-common", UEFI_LOADER: "systemd-boot-efi"}
"""File of the host that ends up in the image: the package that brings it."""

WRITE_S = 600.0
NEEDED = ("mke2fs", "sgdisk", "mformat", "mmd", "mcopy", "syslinux", "setpriv", "unshare")
COMMAND_LINE = "root=UUID={root} ro quiet console=tty0 console=ttyS0,115200 no_timer_check"
"""Programs write to the last console. Emulated timers tick too irregularly on a busy host for the
kernel's check to pass."""

SYSLINUX = """DEFAULT linux
PROMPT 0
TIMEOUT 0
LABEL linux
  KERNEL /nimbi/vmlinuz
  INITRD /nimbi/initrd
  APPEND {line}
"""
LOADER = "timeout 0\ndefault nimbi.conf\nconsole-mode keep\neditor no\n"
ENTRY = "title Linux\nlinux /nimbi/vmlinuz\ninitrd /nimbi/initrd\noptions {line}\n"
FSTAB = """UUID={root} / ext4 errors=remount-ro,discard 0 1
UUID={boot} /boot/efi vfat noauto,umask=0077 0 0
"""
DIRECTORIES = ("::/EFI", "::/EFI/BOOT", "::/loader", "::/loader/entries", "::/nimbi", "::/syslinux")


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the file systems are known by: a UUID, and for FAT its serial number of 8 digits."""

    root: str
    boot: str


def require_files() -> None:
    """Raise Missing, naming the packages, unless the boot loaders are on this host."""
    lacking = {path.name: package for path, package in FILES.items() if not path.exists()}
    if lacking:
        raise Missing(", ".join(lacking), *lacking.values())


async def assemble(tree: Path, disk: Path, size_mib: int) -> None:
    """Make `disk`, a raw file of `size_mib`, of a tree that has /vmlinuz and /initrd.img.

    GPT; first the EFI system partition, from which both loaders start, then the root to the end
    of the disk, so that it can grow. Raises Failed, TimedOut.
    """
    names = Names(root=str(uuid4()), boot=uuid4().hex[:8].upper())
    kernel, initrd = _latest(tree, "vmlinuz-*"), _latest(tree, "initrd.img-*")
    await asyncio.to_thread(_begin, tree, disk, names, size_mib)
    await _partition(disk)
    await _fill_boot(disk, names, kernel, initrd)
    await _fill_root(disk, names, tree, size_mib)


def _begin(tree: Path, disk: Path, names: Names, size_mib: int) -> None:
    serial = f"{names.boot[:4]}-{names.boot[4:]}"
    (tree / "boot/efi").mkdir(mode=0o700, exist_ok=True)
    (tree / "etc/fstab").write_text(FSTAB.format(root=names.root, boot=serial))
    with disk.open("wb") as new:
        new.truncate(size_mib * MIB)


def _latest(tree: Path, pattern: str) -> Path:
    found = sorted((tree / "boot").glob(pattern))
    if not found:
        raise Failed(f"the packages brought no /boot/{pattern}")
    return found[-1]


async def _partition(disk: Path) -> None:
    last = ROOT_FIRST_MIB * SECTORS_A_MIB - 1
    await run(
        "sgdisk",
        *("-n", f"1:{BOOT_FIRST_MIB}M:{last}", "-t", "1:ef00", "-c", "1:boot"),
        # What gptmbr.bin looks for: "legacy BIOS bootable".
        *("-A", "1:set:2"),
        *("-n", f"2:{ROOT_FIRST_MIB}M:0", "-t", "2:8304", "-c", "2:root", disk),
    )
    await asyncio.to_thread(_write_bios_code, disk)


def _write_bios_code(disk: Path) -> None:
    with disk.open("r+b") as whole:
        whole.write(BIOS_CODE.read_bytes()[:BIOS_CODE_BYTES])


async def _fill_boot(disk: Path, names: Names, kernel: Path, initrd: Path) -> None:
    line = COMMAND_LINE.format(root=names.root)
    texts = {
        "syslinux/syslinux.cfg": SYSLINUX.format(line=line),
        "loader/loader.conf": LOADER,
        "loader/entries/nimbi.conf": ENTRY.format(line=line),
    }
    at = f"{disk}@@{BOOT_FIRST_MIB}M"
    form = ("-F", "-N", names.boot, "-H", str(BOOT_FIRST_MIB * SECTORS_A_MIB))
    await run("mformat", "-i", at, *form, "-T", str(BOOT_MIB * SECTORS_A_MIB), "::")
    await run("mmd", "-i", at, *DIRECTORIES)
    files = {"EFI/BOOT/BOOTX64.EFI": UEFI_LOADER, "nimbi/vmlinuz": kernel, "nimbi/initrd": initrd}
    for place, source in files.items():
        await run("mcopy", "-i", at, source, f"::/{place}")
    for place, text in texts.items():
        await run("mcopy", "-i", at, "-", f"::/{place}", stdin=text.encode())
    offset = str(BOOT_FIRST_MIB * MIB)
    await run("syslinux", "--install", "--offset", offset, "--directory", "syslinux", disk)


async def _fill_root(disk: Path, names: Names, tree: Path, size_mib: int) -> None:
    # The backup of the partition table takes the disk's last sectors.
    blocks = (size_mib - ROOT_FIRST_MIB - 1) * MIB // 4096
    options = f"offset={ROOT_FIRST_MIB * MIB},lazy_itable_init=1,nodiscard"
    form = ("-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", "nimbi-root")
    names_of = ("-U", names.root, "-E", options)
    await run_as_root("mke2fs", *form, *names_of, "-d", tree, disk, str(blocks), within_s=WRITE_S)


async def convert(raw: Path, disk: Path) -> None:
    """Make a qcow2 image of a raw one of our own."""
    form = ("-f", "raw", "-O", "qcow2", "-o", "compat=1.1")
    await run_leashed("qemu-img", "convert", *form, raw, disk, within_s=WRITE_S)
