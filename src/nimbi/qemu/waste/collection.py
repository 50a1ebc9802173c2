"""All kinds of waste of a state directory, and their removal."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from nimbi.qemu.state import layout
from nimbi.qemu.waste import files, network, processes
from nimbi.qemu.waste.item import Waste

log = logging.getLogger("nimbi.qemu")

Look = Callable[[Path], Awaitable[list[Waste]]]


def _in_thread(look: Callable[[Path], Iterable[Waste]]) -> Look:
    async def looking(root: Path) -> list[Waste]:
        return await asyncio.to_thread(lambda: list(look(root)))

    return looking


KINDS: Mapping[str, Look] = {
    "guests": _in_thread(processes.guests),
    "builders": _in_thread(processes.builders),
    "network processes": network.processes,
    "network devices": network.devices,
    "ports": network.ports,
    "workspaces": _in_thread(files.workspaces),
    "directories": _in_thread(files.without_record),
    "content": _in_thread(files.unnamed_content),
    "writes": _in_thread(files.torn_writes),
    "locks": _in_thread(files.locks),
}
"""Group: what finds it below a state directory. Processes come first: they may use the rest."""


async def find(root: Path) -> list[Waste]:
    """Return what nothing owns. Nothing is changed, and a running server is not disturbed.

    Raises Unusable for a directory that is somebody else's, or of a newer program.
    """
    layout.usable(root)
    return [item for look in KINDS.values() for item in await look(root)]


async def collect(root: Path) -> list[tuple[Waste, bool]]:
    """Remove what nothing owns, and return it, each with whether it is gone.

    Safe beside running servers and beside another collection. Group after group is looked for
    anew, since what goes first may have held what comes later. Raises as `find` does.
    """
    layout.usable(root)
    done = []
    for look in KINDS.values():
        for item in await look(root):
            done.append((item, await _removed(item)))
    return done


async def _removed(item: Waste) -> bool:
    try:
        return await item.remove()
    except OSError as error:
        log.warning("%s can't be removed: %s", item.what, error)
        return False
