"""The fabric: the networks of all guests, made as a plan says, and mended by making them again."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Conflict, Failed
from nimbi.qemu.host.files import locked, private_directory
from nimbi.qemu.host.process import Process, alive
from nimbi.qemu.host.programs import program
from nimbi.qemu.network import links, nft
from nimbi.qemu.network.blocks import of_host
from nimbi.qemu.network.gatekeeper import Gatekeeper
from nimbi.qemu.network.ledger import Inside
from nimbi.qemu.network.namespace import (
    DROPPING_RIGHTS,
    NO_RIGHTS,
    Namespace,
    Namespaces,
    inhabitants,
)
from nimbi.qemu.network.plan import Applied, Plan, check
from nimbi.qemu.network.rungs import Rung
from nimbi.qemu.network.servants import Servants
from nimbi.qemu.network.uplink import Uplink

DIRECTORY = "fabric"


@dataclass(frozen=True, kw_only=True)
class Status:
    """What runs of a fabric. `pids` is {name: process ids}; `uplink` is why there is none."""

    rung: Rung
    namespace: int | None
    pids: Mapping[str, Sequence[int]]
    guests: int
    gate: Mapping[str, Any]
    uplink: str


class Fabric:
    """The networks of one state directory, on the rungs `userns` and `root`.

    Everything lives in one network namespace: bridges, taps, packet filter, dnsmasq, pasta, and
    all QEMUs. Any number of processes may use it at once, and may be killed.
    """

    def __init__(self, root: Path, rung: Rung) -> None:
        """Use the fabric of state directory `root`, made by the first `apply`."""
        self.rung = rung
        self._directory = private_directory(root.absolute() / DIRECTORY)
        self._lock = private_directory(root.absolute() / "locks") / "fabric.lock"
        self._namespaces = Namespaces(self._directory, rung)
        self._uplink = Uplink(self._directory)
        self._servants = Servants(self._directory / "dnsmasq")
        self._gatekeeper = Gatekeeper(self._directory)

    @property
    def fabric(self) -> bool:
        """Return that guests have their cards here."""
        return True

    async def apply(self, plan: Plan) -> Applied:
        """Make the plan true, whatever is there now, and return what could not be listened to.

        The packet filter changes as one step, before anything else: what it does not know is shut
        out. An empty plan ends everything, unless a guest is still there. Raises Invalid and
        Conflict for a plan that cannot be, Missing, Failed.
        """
        check(plan)
        async with locked(self._lock):
            place = await self._namespaces.find()
            if plan == Plan() and (place is None or not await self._guests(place)):
                await self._end()
                return Applied()
            return await self._apply_in(place or await self._namespaces.make(), plan)

    async def _apply_in(self, place: Namespace, plan: Plan) -> Applied:
        try:
            return await self._apply(plan, place)
        except Failed:
            if alive(place.holder):
                raise
        # The holder was killed meanwhile.
        found = await self._namespaces.find()
        return await self._apply(plan, found or await self._namespaces.make())

    async def _apply(self, plan: Plan, place: Namespace) -> Applied:
        sign = await self._namespaces.sign(place)
        await place.run("nft", "-f", "-", stdin=nft.ruleset(plan, _own_addresses()).encode())
        devices = await _devices(place)
        if script := links.script(plan, sign, devices):
            await place.run("sh", "-s", stdin=script.encode())
        outside = False
        if any(card.outgoing for card in plan.cards):
            outside = await self._uplink.ensure(place, {d["ifname"]: d for d in devices})
        await self._servants.apply(plan, place, outside=outside)
        return Applied(refused=await self._gatekeeper.apply(plan, place))

    async def inside(self, *, dropping: bool = False) -> Inside:
        """Return where guests and other programs of the network run, made if it is not there.

        Programs that are started so have no rights over the network, nor any others of root's;
        one that is `dropping` may become nobody, where there is a nobody to become.
        """
        drop_root = dropping and self.rung is Rung.ROOT
        async with locked(self._lock):
            place = await self._namespaces.find()
            if place is None:
                place = await self._namespaces.make()
                await self._apply(Plan(), place)
        setpriv, *rights = DROPPING_RIGHTS if drop_root else NO_RIGHTS
        prefix = (*place.entering(), program(setpriv), *rights)
        return Inside(place=str(place.inode), prefix=prefix, drop_root=drop_root)

    async def status(self) -> Status:
        """Return what runs, for people."""
        async with locked(self._lock):
            place = await self._namespaces.find()
            return Status(
                rung=self.rung,
                namespace=place.inode if place else None,
                pids={name: [p.pid for p in found] for name, found in self._ours(place).items()},
                guests=len(await self._guests(place)) if place else 0,
                gate=await self._gatekeeper.status(),
                uplink=self._uplink.reason(),
            )

    async def down(self) -> None:
        """Remove all of it. Raises Conflict while a guest is there. May be repeated."""
        async with locked(self._lock):
            place = await self._namespaces.find()
            if place and (guests := await self._guests(place)):
                raise Conflict(f"{len(guests)} programs of guests still run in the network")
            await self._end()

    async def _end(self) -> None:
        await self._gatekeeper.end()
        await self._uplink.end()
        await self._servants.end()
        await self._namespaces.end()

    def _ours(self, place: Namespace | None) -> dict[str, list[Process]]:
        return {
            "holder": [place.holder] if place else [],
            "gate": self._gatekeeper.running(),
            "pasta": self._uplink.running(),
            "dnsmasq": self._servants.running(),
        }

    async def _guests(self, place: Namespace) -> list[int]:
        """Return the processes in the namespace that are not the fabric's own."""

        def others() -> list[int]:
            ours = {p.pid for found in self._ours(place).values() for p in found}
            return [pid for pid in inhabitants(place) if pid not in ours]

        return await asyncio.to_thread(others)


async def _devices(place: Namespace) -> list[dict[str, Any]]:
    found = json.loads(await place.run("ip", "-j", "-d", "address", "show"))
    # Older versions of ip print empty objects for what they leave out.
    return [device for device in found if device]


def _own_addresses() -> list[str]:
    return [str(block.network_address) for block in of_host() if block.prefixlen == 32]
