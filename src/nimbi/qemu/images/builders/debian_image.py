"""The Debian image: the distribution's own packages, for any cloud that knows cloud-init."""

import asyncio
from pathlib import Path

from nimbi.qemu.host import room
from nimbi.qemu.host.files import locked, private_directory
from nimbi.qemu.host.leash import clear
from nimbi.qemu.host.programs import ARCHITECTURE, require, require_architecture
from nimbi.qemu.images.builders import boot_disk, debian_tree
from nimbi.qemu.images.builders.kernel import Progress
from nimbi.qemu.images.store import DISK, Facts, Image, ImageStore

NAME = "debian"
DESCRIPTION = "Debian {suite}: cloud-init, ssh, guest agent; boots by BIOS and UEFI ({release})"
DISK_MIB = 2048
LEAST_MEMORY_MIB = 256
NEEDED = ("qemu-img", *debian_tree.needed(), *boot_disk.NEEDED)
BUILD_S = 3600.0
ROOM_BYTES = 2 * 2**30
"""Of the host's disk, while it is built: packages, tree, raw disk and image beside each other."""


async def build(store: ImageStore, root: Path, progress: Progress) -> Image:
    """Return the Debian image, building it unless the same one is already there.

    It takes about a minute, and no root: without it, a range of ids in /etc/subuid. Of several
    builders at once, in any process, one builds and the others wait for it.
    Raises Missing with the packages that lack, Capacity, Failed, TimedOut.
    """
    require_architecture()
    require(NEEDED)
    boot_disk.require_files()
    debian_tree.require_keys()
    locks = private_directory(root / "locks")
    async with locked(locks / "debian-image.lock", within_s=BUILD_S):
        progress("looking for an image of the same packages", 0.0)
        places = await debian_tree.sources()
        recipe = await debian_tree.recipe(places)
        image = await asyncio.to_thread(store.by_recipe, recipe)
        if image is None:
            image = await _make(store, root, places, recipe, progress)
    progress("the image is ready", 1.0)
    return image


async def _make(
    store: ImageStore, root: Path, places: list[str], recipe: str, progress: Progress
) -> Image:
    async with store.building() as work, room.promised(root, work, ROOM_BYTES):
        try:
            tree = await debian_tree.install(work, places, progress)
            release = next(iter(sorted((tree / "boot").glob("vmlinuz-*")))).name[len("vmlinuz-") :]
            progress("making the disk", 0.86)
            raw, parts = work / "disk.raw", private_directory(work / "image")
            await boot_disk.assemble(tree, raw, DISK_MIB)
        finally:
            await asyncio.to_thread(clear, work / "tree")
        progress("making the image", 0.93)
        await boot_disk.convert(raw, parts / DISK)
        facts = Facts(
            name=NAME,
            description=DESCRIPTION.format(suite=debian_tree.suite(), release=release),
            recipe=recipe,
            disk_bytes=DISK_MIB * 2**20,
            architecture=ARCHITECTURE,
            boot_modes=("bios", "uefi"),
            origin="debian",
            login_user="debian",
            least_memory_mib=LEAST_MEMORY_MIB,
        )
        return await asyncio.to_thread(store.add, parts, facts)
