"""The dnsmasq of each network: run, run anew for a change, ended with its network."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

from nimbi.qemu.errors import Failed
from nimbi.qemu.host.files import private_directory, write_atomically
from nimbi.qemu.host.process import PROC, Process, alive
from nimbi.qemu.host.programs import program
from nimbi.qemu.network import dnsmasq
from nimbi.qemu.network.daemons import Daemon, found, network_of, start, stop, words
from nimbi.qemu.network.dnsmasq import Kind
from nimbi.qemu.network.namespace import SOME_RIGHTS, Namespace
from nimbi.qemu.network.plan import Plan, PlannedNetwork

OPTION = "--conf-file="
START_S = 10.0
LOOK_EVERY_S = 0.01


class Servants:
    """All dnsmasqs of one fabric. Used under its lock."""

    def __init__(self, directory: Path) -> None:
        """Keep their files below `directory`."""
        self._directory = private_directory(directory)

    async def apply(self, plan: Plan, place: Namespace, *, outside: bool) -> None:
        """Have one for each network of the plan, which knows the network's cards. Raises Failed.

        A change is a new run, which takes some 20 ms: dnsmasq 2.90 has been seen to crash when it
        is told by a signal to read its files again.
        """
        wanted = {
            self._config(plan, network, kind, outside=outside): (network, kind)
            for network in plan.networks
            for kind in dnsmasq.kinds(plan, network)
        }
        running: set[Path] = set()
        for daemon in self._daemons():
            config = Path(daemon.argument.removeprefix(OPTION))
            here = network_of(daemon.process.pid) == place.inode
            if here and config in wanted and config not in running:
                running.add(config)
            else:
                await stop(daemon.process)
        self._sweep({config.stem for config in wanted})
        for config, (network, kind) in wanted.items():
            if config not in running:
                text = dnsmasq.config(plan, network, _names(config), kind, outside=outside)
                names = dnsmasq.names(plan, network)
                await asyncio.to_thread(write_atomically, _names(config), names.encode())
                await asyncio.to_thread(write_atomically, config, text.encode())
                await self._start(network, kind, place, config)

    async def _start(
        self, network: PlannedNetwork, kind: Kind, place: Namespace, config: Path
    ) -> None:
        setpriv, *rights = SOME_RIGHTS
        log = config.with_suffix(".log")
        process = await start(
            [
                *(*place.entering(), program(setpriv), *rights),
                *(program("dnsmasq"), f"{OPTION}{config}"),
            ],
            log,
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + START_S
        while not _listens(process, network, dnsmasq.port(kind)):
            if not alive(process) or loop.time() > end:
                raise Failed(f"dnsmasq does not serve network {network.id}: {words(log)}")
            await asyncio.sleep(LOOK_EVERY_S)

    def _config(self, plan: Plan, network: PlannedNetwork, kind: Kind, *, outside: bool) -> Path:
        """Return the file of the configuration, named by its content: a change needs a new run."""
        text = dnsmasq.config(plan, network, self._directory / "any", kind, outside=outside)
        digest = hashlib.sha256(f"{text}\0{dnsmasq.names(plan, network)}".encode()).hexdigest()
        return self._directory / f"{network.bridge}-{digest[:16]}.conf"

    def _sweep(self, wanted: set[str]) -> None:
        for file in self._directory.iterdir():
            if file.stem not in wanted:
                file.unlink(missing_ok=True)

    def _daemons(self) -> list[Daemon]:
        return found(f"{OPTION}{self._directory}/")

    def running(self) -> list[Process]:
        """Return the processes of all."""
        return [daemon.process for daemon in self._daemons()]

    async def end(self) -> None:
        """End all."""
        for process in self.running():
            await stop(process)
        self._sweep(set())


def _names(config: Path) -> Path:
    return config.with_suffix(".names")


def _listens(process: Process, network: PlannedNetwork, port: int) -> bool:
    """Say whether a dnsmasq answers questions about names at its network's gateways."""
    # Source: proc(5): addresses are hexadecimal in the machine's order of bytes.
    wanted = {f"{int.from_bytes(g.packed, 'little'):08X}:{port:04X}" for g in network.gateways}
    with suppress(OSError):
        lines = (PROC / str(process.pid) / "net/udp").read_text().splitlines()[1:]
        return wanted <= {line.split()[1] for line in lines}
    return False
