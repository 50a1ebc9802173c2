"""Putting volumes into the QEMU of a guest and taking them out of it again."""

import json
from pathlib import Path
from typing import Any

from nimbi.qemu.disks.copying import node_named
from nimbi.qemu.disks.records import DISK, Volume
from nimbi.qemu.errors import Failed
from nimbi.qemu.guests.qmp import Conversation, conversation

SLOTS = range(7, 20)
"""Places on the PCI bus that are kept for volumes."""

PERIPHERALS = "/machine/peripheral"
DRIVER = "virtio-blk-pci"


def arguments(volumes: list[Volume]) -> tuple[str, ...]:
    """Return the part of a command line that gives a guest these volumes."""
    words: list[str] = []
    for volume in volumes:
        device = ",".join(f"{name}={value}" for name, value in _device(volume).items())
        words += ["-blockdev", json.dumps(_node(volume)), "-device", device]
    return tuple(words)


async def plugged(socket: Path) -> frozenset[str]:
    """Return the ids of all volumes that a guest's QEMU has as devices."""
    async with conversation(socket) as talk:
        return await _devices(talk)


async def plug(socket: Path, volume: Volume) -> None:
    """Give a running guest a volume; one that it has already is left as it is.

    When QEMU refuses, it keeps nothing of it. Raises Failed.
    """
    async with conversation(socket) as talk:
        if volume.id in await _devices(talk):
            return
        if await node_named(talk, volume.id) is None:
            await talk.ask("blockdev-add", _node(volume))
        try:
            await talk.ask("device_add", _device(volume))
        except Failed:
            await talk.ask("blockdev-del", {"node-name": volume.id})
            raise


async def unplug(socket: Path, id: str, *, press: bool) -> bool:
    """Say whether a guest's QEMU has nothing of a volume any more.

    The guest's system has to let go of the disk; with `press` it is told to. Its file is then
    closed, and everything is on disk.
    """
    async with conversation(socket) as talk:
        if id in await _devices(talk):
            if press:
                await _press(talk, id)
            return False
        if await node_named(talk, id) is None:
            return True
        try:
            await talk.ask("blockdev-del", {"node-name": id})
        except Failed:
            # QEMU needs a moment to let go of a device that is gone.
            return False
        return True


async def grow(socket: Path, id: str, size_bytes: int) -> None:
    """Let a running guest see a volume as larger. Raises Failed."""
    async with conversation(socket) as talk:
        await talk.ask("block_resize", {"node-name": id, "size": size_bytes})


async def _press(talk: Conversation, id: str) -> None:
    try:
        await talk.ask("device_del", {"id": id})
    except Failed:
        # It was told before and has not answered yet: QEMU refuses to tell it twice.
        return


async def _devices(talk: Conversation) -> frozenset[str]:
    found = await talk.ask("qom-list", {"path": PERIPHERALS})
    return frozenset(entry["name"] for entry in found if entry["name"].startswith("vol-"))


def _node(volume: Volume) -> dict[str, Any]:
    # Relative to the guest's directory, so that the whole state directory can be moved.
    file = {"driver": "file", "filename": f"../../volumes/{volume.id}/{DISK}"}
    return {"driver": "qcow2", "node-name": volume.id, "discard": "unmap", "file": file}


def _device(volume: Volume) -> dict[str, str]:
    return {
        "driver": DRIVER,
        "id": volume.id,
        "drive": volume.id,
        "serial": volume.id,
        "addr": f"{volume.slot:#x}",
        # A full disk of the host pauses the guest, which goes on once there is room: nothing that
        # it wrote is lost, and its file systems see no error.
        "werror": "enospc",
        "rerror": "report",
    }
