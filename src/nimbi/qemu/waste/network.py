"""What is left of networks that no running guest has: processes, devices, ports."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nimbi.qemu.balancers.fronts import fronts
from nimbi.qemu.balancers.haproxy import CONFIGURATION
from nimbi.qemu.errors import QemuError
from nimbi.qemu.guests.record import load
from nimbi.qemu.host.files import locked, private_directory
from nimbi.qemu.host.process import Process, boot_id
from nimbi.qemu.network import namespace, planning, uplink
from nimbi.qemu.network.daemons import Daemon, found, network_of, stop
from nimbi.qemu.network.fabric import DIRECTORY
from nimbi.qemu.network.gatekeeper import Gatekeeper
from nimbi.qemu.network.guests import carried
from nimbi.qemu.network.links import SIGN
from nimbi.qemu.network.namespace import Namespace
from nimbi.qemu.network.nft import UPLINK
from nimbi.qemu.network.plan import Plan
from nimbi.qemu.network.records import Records, RecordStore
from nimbi.qemu.network.rungs import Rung
from nimbi.qemu.network.servants import OPTION
from nimbi.qemu.waste.item import Waste

RECORDS = "network/records"
BALANCERS = "balancers"
LOCK_S = 20.0
UNUSED = "no running guest, address or load balancer needs it"
ELSEWHERE = "it is in a network namespace that is not used any more"
DEVICES = ("tun", "bridge")


@dataclass(frozen=True)
class Wanted:
    """What shall be there: the plan, whether HAProxy is needed, and the namespace in use."""

    plan: Plan
    balanced: bool
    place: Namespace | None
    inode: int | None

    @property
    def nothing(self) -> bool:
        """Whether no network is needed at all."""
        return self.plan == Plan() and not self.balanced


async def processes(root: Path) -> list[Waste]:
    """Find programs of networks that nobody needs, or that are in a namespace of the past."""
    return await asyncio.to_thread(_processes, root)


def _processes(root: Path) -> list[Waste]:
    wanted = _wanted(root)
    return [
        _waste(root, "process", f"{name} (process {daemon.process.pid})", why, remove)
        for name, daemon in _daemons(root)
        if (why := _why(wanted, name, daemon.process))
        for remove in (partial(_end, root, name, daemon.process),)
    ]


async def devices(root: Path) -> list[Waste]:
    """Find cards and bridges of guests that do not run, in a namespace that others use."""
    wanted = await asyncio.to_thread(_wanted, root)
    if wanted.place is None or wanted.nothing:
        return []
    return [
        _waste(root, "device", name, "no running guest has it", partial(_unlink, root, name))
        for name in await _stray(wanted.plan, wanted.place)
    ]


async def ports(root: Path) -> list[Waste]:
    """Find ports of this machine at which the gate listens for nobody."""
    wanted = await asyncio.to_thread(_wanted, root)
    if wanted.nothing or not (root / DIRECTORY).exists():
        return []
    told = await Gatekeeper(root / DIRECTORY).status()
    more = told.get("listeners", 0) - len(wanted.plan.publications)
    if more <= 0:
        return []
    what = f"{more} ports at which the gate listens"
    return [_waste(root, "port", what, "no running guest publishes them", partial(_shut, root))]


def _waste(
    root: Path, kind: str, what: str, why: str, work: Callable[[], Awaitable[bool]]
) -> Waste:
    async def remove() -> bool:
        try:
            async with _alone(root):
                return await work()
        except QemuError:
            return False

    return Waste(kind=kind, what=what, why=why, remove=remove)


@contextlib.asynccontextmanager
async def _alone(root: Path) -> AsyncGenerator[None]:
    """Hold back servers that change networks; they take these locks in the same order."""
    locks = private_directory(root / "locks")
    async with locked(locks / "network.lock", LOCK_S), locked(locks / "fabric.lock", LOCK_S):
        yield


def _wanted(root: Path) -> Wanted:
    records = _records(root)
    stopped = [r for id, r in records.running.items() if not carried(load(root / "guests" / id))]
    records = records.without(*stopped)
    place, inode = _place(root)
    fabric = inode is not None
    return Wanted(
        plan=(planning.of_fabric if fabric else planning.of_user)(records),
        balanced=bool(fronts(records, fabric=fabric)),
        place=place,
        inode=inode,
    )


def _records(root: Path) -> Records:
    # The store would make its directories.
    return RecordStore(root / RECORDS).read() if (root / RECORDS).exists() else Records()


def _place(root: Path) -> tuple[Namespace | None, int | None]:
    """Return the namespace in use, None when its holder is gone, and the inode that is noted."""
    try:
        told: dict[str, Any] = json.loads((root / DIRECTORY / namespace.RECORD).read_bytes())
        inode, rung = int(told["inode"]), Rung(told["rung"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
    if told.get("boot_id") != boot_id():
        return None, None
    for daemon in found(str(root / DIRECTORY / namespace.HOLDER)):
        if network_of(daemon.process.pid) == inode:
            return Namespace(rung=rung, holder=daemon.process, inode=inode), inode
    return None, inode


def _daemons(root: Path) -> list[tuple[str, Daemon]]:
    """Return all programs of networks with their names, the holder last: the rest needs it."""
    place = root / DIRECTORY
    gates = [daemon for daemon in found(str(place)) if daemon.argument == str(place)]
    return [
        *(("haproxy", daemon) for daemon in found(str(root / BALANCERS / CONFIGURATION))),
        *(("gate", daemon) for daemon in gates),
        *(("pasta", daemon) for daemon in found(str(place / uplink.LOG))),
        *(("dnsmasq", daemon) for daemon in found(f"{OPTION}{place}/")),
        *(("holder", daemon) for daemon in found(str(place / namespace.HOLDER))),
    ]


def _why(wanted: Wanted, name: str, process: Process) -> str | None:
    """Return why a program is not needed, None when it is."""
    if wanted.nothing or (name == "haproxy" and not wanted.balanced):
        return UNUSED
    # The others stand with one foot, or both, in this machine's own network.
    inside = name in {"dnsmasq", "holder"}
    if inside and wanted.inode is not None and network_of(process.pid) != wanted.inode:
        return ELSEWHERE
    return None


async def _end(root: Path, name: str, process: Process) -> bool:
    wanted = await asyncio.to_thread(_wanted, root)
    if not await asyncio.to_thread(_why, wanted, name, process):
        return False
    await stop(process)
    return True


async def _stray(plan: Plan, place: Namespace) -> Sequence[str]:
    """Return the names of devices that are in the namespace and not in the plan, taps first."""
    told = json.loads(await place.run("ip", "-j", "-d", "link", "show"))
    kinds = {d["ifname"]: d.get("linkinfo", {}).get("info_kind") for d in told if d}
    planned = {n.bridge for n in plan.networks} | {card.tap for card in plan.cards}
    keep = planned | {UPLINK, SIGN}
    return [name for kind in DEVICES for name in kinds if kinds[name] == kind and name not in keep]


async def _unlink(root: Path, name: str) -> bool:
    wanted = await asyncio.to_thread(_wanted, root)
    if wanted.place is None:
        return True
    if name in await _stray(wanted.plan, wanted.place):
        await wanted.place.run("ip", "link", "delete", name)
    return True


async def _shut(root: Path) -> bool:
    wanted = await asyncio.to_thread(_wanted, root)
    await Gatekeeper(root / DIRECTORY).apply(wanted.plan, wanted.place)
    return True
