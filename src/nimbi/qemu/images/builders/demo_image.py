"""The demo image, built in seconds from the distribution's own kernel and programs."""

import asyncio
import hashlib
import json
from pathlib import Path

from nimbi.qemu.host.files import locked, private_directory, sha256, write_atomically
from nimbi.qemu.host.programs import ARCHITECTURE, require, require_architecture, run
from nimbi.qemu.images.builders import rootfs
from nimbi.qemu.images.builders.cpio import Entry
from nimbi.qemu.images.builders.kernel import Kernel, Progress, kernel
from nimbi.qemu.images.store import DISK, INITRD, KERNEL, Facts, Image, ImageStore

NAME = "demo"
DESCRIPTION = "Busybox on the distribution's own kernel: web page, ssh, NoCloud seed"
DISK_MIB = 64
NEEDED = ("qemu-img", "busybox", "dropbear", "dropbearkey", "mke2fs", "debugfs", "resize2fs", "ldd")
BUILD_S = 600.0

FILE_SYSTEM = (
    *("-q", "-F", "-t", "ext4", "-b", "4096", "-i", "16384", "-m", "0", "-J", "size=4"),
    *("-L", "nimbi-root", "-U", "6e696d62-6900-4000-8000-000000000001"),
    *("-E", "hash_seed=6e696d62-6900-4000-8000-000000000002,lazy_itable_init=1"),
)
"""Arguments of mke2fs. A fixed identity: the same input gives the same bytes."""


async def build(store: ImageStore, root: Path, progress: Progress) -> Image:
    """Return the demo image, building it unless the same one is already there.

    Of several builders at once, in any process, one builds and the others wait for it.
    Raises Missing with the packages that lack, Failed, TimedOut.
    """
    require_architecture()
    require(NEEDED)
    locks = private_directory(root / "locks")
    async with locked(locks / "demo-image.lock", within_s=BUILD_S):
        chosen = await kernel(root / "kernels", progress)
        progress("collecting the guest's programs", 0.6)
        busybox, _ = await rootfs.busybox_applets()
        first = await asyncio.to_thread(rootfs.first_root, chosen, busybox)
        entries = await rootfs.root(chosen)
        recipe = await asyncio.to_thread(_recipe, chosen, first, entries)
        image = store.by_recipe(recipe)
        if image is None:
            progress("making the disk", 0.8)
            image = await _assemble(store, chosen, first, entries, recipe)
    progress("the image is ready", 1.0)
    return image


def _recipe(chosen: Kernel, first: bytes, entries: list[Entry]) -> str:
    digest = hashlib.sha256(json.dumps([DISK_MIB, FILE_SYSTEM, sha256(chosen.file)]).encode())
    digest.update(first)
    for entry in entries:
        digest.update(f"{entry.path}\0{entry.mode:o}\0{len(entry.data)}\0".encode())
        digest.update(entry.data)
    return digest.hexdigest()


async def _assemble(
    store: ImageStore, chosen: Kernel, first: bytes, entries: list[Entry], recipe: str
) -> Image:
    async with store.building() as work:
        sources, parts = private_directory(work / "sources"), private_directory(work / "image")
        commands = await asyncio.to_thread(rootfs.write_sources, entries, sources)
        raw = work / "disk.raw"
        await run("mke2fs", *FILE_SYSTEM, raw, f"{DISK_MIB}M")
        await run("debugfs", "-w", "-f", "-", raw, cwd=sources, stdin=commands.encode())
        await run("qemu-img", "convert", "-O", "qcow2", raw, parts / DISK)
        await asyncio.to_thread(write_atomically, parts / KERNEL, chosen.file.read_bytes())
        await asyncio.to_thread(write_atomically, parts / INITRD, first)
        facts = Facts(
            name=NAME,
            description=f"{DESCRIPTION} ({chosen.release})",
            recipe=recipe,
            disk_bytes=DISK_MIB * 2**20,
            architecture=ARCHITECTURE,
        )
        return await asyncio.to_thread(store.add, parts, facts)
