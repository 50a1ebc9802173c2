"""The kernel that guests boot: the distribution's own, installed or taken from its package."""

import asyncio
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nimbi.qemu.errors import Failed, Missing, QemuError
from nimbi.qemu.host.files import private_directory, workspace
from nimbi.qemu.host.programs import program, run

BOOT = Path("/boot")
MODULES = Path("/lib/modules")
META_PACKAGES = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
"""Distribution (ID or ID_LIKE of os-release): the package that always names its newest kernel."""

REAL_PACKAGE = re.compile(r"\s*\|?Depends: (linux-(?:image|modules)-\d\S*)")
DOWNLOAD_S = 300.0

Progress = Callable[[str, float], None]
"""Told at the start of each step: the step in words, and the share of the whole done, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel on disk: its release, its bootable file, and the directory of its modules."""

    release: str
    file: Path
    modules: Path


async def kernel(cache: Path, progress: Progress) -> Kernel:
    """Return the newest usable kernel: an installed one, or else one unpacked below `cache`.

    The package is downloaded and unpacked, not installed, so no root is needed.
    Raises Missing when neither is possible.
    """
    found = installed(BOOT, MODULES) or unpacked(cache)
    if found:
        return found
    meta = _meta_package()
    try:
        return await _from_package(meta, cache, progress)
    except Missing:
        raise
    except QemuError as error:
        raise Missing(f"a kernel to boot ({error})", meta) from error


def installed(boot: Path, modules: Path) -> Kernel | None:
    """Return the newest kernel of `boot` that may be read and has modules; cloud kernels first.

    Ubuntu lets only root read its kernels: these do not count for other users.
    """
    usable = [
        Kernel(release=release, file=file, modules=modules / release)
        for file in boot.glob("vmlinuz-*")
        if (release := file.name.removeprefix("vmlinuz-"))
        and os.access(file, os.R_OK)
        and (modules / release / "kernel").is_dir()
    ]
    return max(usable, key=lambda k: ("cloud" in k.release, _version(k.release)), default=None)


def unpacked(cache: Path) -> Kernel | None:
    """Return the newest kernel that was unpacked below `cache` before."""
    found = [
        k for tree in cache.glob("[!.]*") if (k := installed(tree / "boot", _modules_of(tree)))
    ]
    return max(found, key=lambda k: _version(k.release), default=None)


def _modules_of(tree: Path) -> Path:
    # Debian 13 and Ubuntu 24.04 ship modules below /usr/lib, which /lib leads to once installed.
    merged = tree / "usr/lib/modules"
    return merged if merged.is_dir() else tree / "lib/modules"


def _version(release: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", release)]


def _meta_package() -> str:
    try:
        about = platform.freedesktop_os_release()
    except OSError:
        about = {}
    for name in [about.get("ID", ""), *about.get("ID_LIKE", "").split()]:
        if name in META_PACKAGES:
            return META_PACKAGES[name]
    raise Missing("a readable kernel in /boot", META_PACKAGES["debian"])


async def _from_package(meta: str, cache: Path, progress: Progress) -> Kernel:
    for name in ("apt-get", "apt-cache", "dpkg-deb"):
        program(name)
    progress("asking the distribution for its kernel", 0.0)
    packages = await _real_packages(meta)
    private_directory(cache)
    async with workspace(cache) as work:
        progress(f"downloading {packages[0]}", 0.05)
        await run("apt-get", "-qq", "download", *packages, cwd=work, within_s=DOWNLOAD_S)
        progress(f"unpacking {packages[0]}", 0.4)
        for package in sorted(work.glob("*.deb")):
            await run("dpkg-deb", "-x", package, work / "tree")
        await asyncio.to_thread(_publish, work / "tree", cache / packages[0])
    found = unpacked(cache)
    if found is None:
        raise Failed(f"{packages[0]} has no kernel and modules at the known places")
    return found


def _publish(tree: Path, place: Path) -> None:
    if not place.exists():
        tree.rename(place)


async def _real_packages(meta: str) -> list[str]:
    """Return the packages that hold the kernel and its modules, the kernel's first."""
    wanted, seen = [meta], list[str]()
    while wanted:
        said = await run("apt-cache", "depends", "--important", wanted.pop(0))
        new = [name for name in REAL_PACKAGE.findall(said.decode()) if name not in seen]
        seen += new
        wanted += new
    if not seen:
        raise Failed(f"{meta} names no kernel package: run `apt-get update`")
    return seen
