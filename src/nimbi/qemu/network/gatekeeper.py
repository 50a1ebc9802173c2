"""Runs the gate, and tells it what to do."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Failed
from nimbi.qemu.host.process import Process, alive
from nimbi.qemu.host.programs import program
from nimbi.qemu.network import gate
from nimbi.qemu.network.daemons import Daemon, found, network_of, start, stop, words
from nimbi.qemu.network.namespace import Namespace
from nimbi.qemu.network.plan import ANYWHERE, LOCAL, Card, Plan, Protocol, Publication
from nimbi.qemu.network.rungs import Rung

LOG = "gate.log"
PROGRAM = "nimbi.qemu.network.porter"
START_S = 20.0
ANSWER_S = 30.0
LOOK_EVERY_S = 0.02


class Gatekeeper:
    """The gate of one directory. Used under a lock."""

    def __init__(self, directory: Path) -> None:
        """Keep the gate's socket and log in `directory`."""
        self._directory = directory

    async def apply(self, plan: Plan, place: Namespace | None) -> dict[Publication, str]:
        """Have exactly the plan's publications, and return {publication: why it is not there}.

        `place` is where the guests are; None on the rung `user`. Open connections stay.
        """
        await self._ensure(place)
        answer = await self._ask({"set": state(plan, fabric=place is not None)})
        refused: dict[str, str] = answer["refused"]
        return {
            p: refused[w] for p in plan.publications if (w := f"{p.address}:{p.port}") in refused
        }

    async def _ensure(self, place: Namespace | None) -> None:
        wanted = network_of(os.getpid()) if place is None else place.inode
        good: Process | None = None
        for daemon in self._daemons():
            if good is None and network_of(daemon.process.pid) == wanted and await self._is_ours():
                good = daemon.process
            else:
                await stop(daemon.process)
        if good is None:
            await self._start(place)

    async def _is_ours(self) -> bool:
        """Say whether the gate answers, and is of this version of the program."""
        with suppress(Failed):
            return bool((await self._ask({}))["version"] == gate.VERSION)
        return False

    async def _start(self, place: Namespace | None) -> None:
        (self._directory / gate.SOCKET).unlink(missing_ok=True)
        prefix: tuple[str | Path, ...] = ()
        if place is not None and place.rung is Rung.USERNS:
            prefix = (program("nsenter"), "--preserve-credentials", f"--user={place.user}", "--")
        # Programs get no more of our environment than they need; this one is ours.
        if path := os.environ.get("PYTHONPATH"):
            prefix = (*prefix, program("env"), f"PYTHONPATH={path}")
        where: tuple[str | Path, ...] = () if place is None else (place.net, str(place.inode))
        process = await start(
            [
                *(*prefix, sys.executable, "-P", "-m", PROGRAM, self._directory),
                *where,
            ],
            self._directory / LOG,
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + START_S
        while not await self._is_ours():
            if not alive(process) or loop.time() > end:
                raise Failed(f"the gate does not run: {words(self._directory / LOG)}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        # A unix socket's path holds 107 bytes at most; through the directory's descriptor any fits.
        directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(
                    f"/proc/self/fd/{directory}/{gate.SOCKET}", limit=gate.LINE_BYTES
                )
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    return dict(json.loads(await reader.readline()))
                finally:
                    writer.close()
        except (OSError, ValueError) as error:
            raise Failed("the gate does not answer") from error
        finally:
            os.close(directory)

    async def status(self) -> dict[str, Any]:
        """Return what the gate does, nothing when it does not run."""
        with suppress(Failed):
            return await self._ask({})
        return {}

    def _daemons(self) -> list[Daemon]:
        return [d for d in found(str(self._directory)) if d.argument == str(self._directory)]

    def running(self) -> list[Process]:
        """Return the gate's processes; there is one at most, unless somebody was killed."""
        return [daemon.process for daemon in self._daemons()]

    async def end(self) -> None:
        """End the gate, with all connections through it."""
        for process in self.running():
            await stop(process)
        (self._directory / gate.SOCKET).unlink(missing_ok=True)


def state(plan: Plan, *, fabric: bool) -> dict[str, Any]:
    """Return what the gate is told for a plan."""
    return {
        "ways": [
            {
                "address": str(p.address),
                "port": p.port,
                "to": str(p.to),
                "to_port": p.to_port,
                "admitted": [str(block) for block in _admitted(plan, p, fabric=fabric)],
            }
            for p in plan.publications
        ],
        "cards": {str(c.ip): str(c.metadata) for c in plan.cards if c.metadata},
    }


def _admitted(plan: Plan, publication: Publication, *, fabric: bool) -> list[IPv4Network]:
    """Return whose connections the guest's firewalls let in at this port."""
    if not fabric or publication.to == LOCAL:
        return [ANYWHERE]
    card = next((card for card in plan.cards if card.ip == publication.to), None)
    return [] if card is None else _blocks(plan, card, publication.to_port)


def _blocks(plan: Plan, card: Card, port: int) -> list[IPv4Network]:
    return [
        block
        for firewall in plan.firewalls
        if firewall.id in card.firewall_ids
        for opening in firewall.openings
        if opening.protocol is Protocol.TCP and opening.port_from <= port <= opening.port_to
        for block in opening.blocks
    ]
