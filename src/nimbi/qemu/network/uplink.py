"""The way outside: pasta, which makes the connections of guests its own, as any program of ours."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any

from nimbi.qemu.errors import Failed, Missing, QemuError
from nimbi.qemu.host.files import write_json
from nimbi.qemu.host.process import Process, alive, kill
from nimbi.qemu.host.programs import program
from nimbi.qemu.network.daemons import found, start, stop, words
from nimbi.qemu.network.namespace import Namespace
from nimbi.qemu.network.nft import RESOLVER, UPLINK
from nimbi.qemu.network.rungs import Rung

LOG = "pasta.log"
READY = "pasta.pid"
REFUSAL = "uplink.json"
START_S = 10.0
LOOK_EVERY_S = 0.01
ASK_AGAIN_S = 60.0
"""A refusal is believed so long: the network of this machine may come up later."""

SHUT = (
    *("--quiet", "--foreground", "--config-net", "--ipv4-only"),
    # Nothing of this machine's loopback, in either direction.
    *("--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none"),
    *("--ns-ifname", UPLINK, "--mtu", "1500", "--dns-forward", RESOLVER),
)


class Uplink:
    """Runs pasta for one namespace. Used under the fabric's lock."""

    def __init__(self, directory: Path) -> None:
        """Keep its log and its last refusal in `directory`."""
        self._directory = directory

    async def ensure(self, place: Namespace, devices: Mapping[str, Mapping[str, Any]]) -> bool:
        """Run it unless it runs, and say whether there is a way outside now.

        `devices` are those of the namespace: pasta's own goes when pasta does.
        """
        running = self.running()
        if running and UPLINK in devices:
            return True
        for process in running:
            await stop(process)
        if time() - self._refused().get("at", 0) < ASK_AGAIN_S:
            return False
        try:
            await self._start(place)
        except QemuError as error:
            write_json(self._directory / REFUSAL, {"at": time(), "reason": str(error)})
            return False
        (self._directory / REFUSAL).unlink(missing_ok=True)
        return True

    async def _start(self, place: Namespace) -> None:
        for name in (LOG, READY):
            (self._directory / name).unlink(missing_ok=True)
        user = ("--userns", place.user) if place.rung is Rung.USERNS else ("--netns-only",)
        # As root it would become nobody, who may not enter the namespace.
        own = ("--runas", "0") if os.geteuid() == 0 else ()
        files = ("--pid", self._directory / READY, "--log-file", self._directory / LOG)
        process = await start(
            [program("pasta"), *SHUT, *files, *own, "--netns", place.net, *user],
            self._directory / "pasta.err",
        )
        try:
            async with asyncio.timeout(START_S):
                while not (self._directory / READY).exists():
                    if not alive(process):
                        raise Failed(f"pasta ended: {self._words()}")
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            kill(process)
            raise Failed(f"pasta was not ready within {START_S:g} s: {self._words()}") from None

    def _words(self) -> str:
        said = f"{words(self._directory / 'pasta.err')} {words(self._directory / LOG)}"
        return " ".join(said.split())[-500:]

    def running(self) -> list[Process]:
        """Return the processes of pasta; there is one at most, unless somebody was killed."""
        return [daemon.process for daemon in found(str(self._directory / LOG))]

    async def end(self) -> None:
        """End it."""
        for process in self.running():
            await stop(process)

    def _refused(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self._directory / REFUSAL).read_bytes()))
        except (FileNotFoundError, ValueError):
            return {}

    def reason(self) -> str:
        """Return why there is no way outside, or an empty text when none is known."""
        try:
            program("pasta")
        except Missing as error:
            return str(error)
        return str(self._refused().get("reason", ""))
