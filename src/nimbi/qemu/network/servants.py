"""The dnsmasq of each network: run, told of changes, ended with its network."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path
from signal import SIGHUP

from nimbi.qemu.errors import Failed
from nimbi.qemu.files import private_directory, write_atomically
from nimbi.qemu.network import dnsmasq
from nimbi.qemu.network.daemons import Daemon, found, network_of, start, stop, words
from nimbi.qemu.network.namespace import SOME_RIGHTS, Namespace
from nimbi.qemu.network.plan import Plan, PlannedNetwork
from nimbi.qemu.process import PROC, Process, alive, kill
from nimbi.qemu.programs import program

OPTION = "--conf-file="
START_S = 10.0
LOOK_EVERY_S = 0.01
DNS = 53


class Servants:
    """All dnsmasqs of one fabric. Used under its lock."""

    def __init__(self, directory: Path) -> None:
        """Keep their files below `directory`."""
        self._directory = private_directory(directory)

    async def apply(self, plan: Plan, place: Namespace, *, outside: bool) -> None:
        """Have one for each network of the plan, which knows the network's cards. Raises Failed."""
        wanted = {self._config(network, outside=outside): network for network in plan.networks}
        running: dict[Path, Process] = {}
        for daemon in self._daemons():
            config = Path(daemon.argument.removeprefix(OPTION))
            here = network_of(daemon.process.pid) == place.inode
            if here and config in wanted and config not in running:
                running[config] = daemon.process
            else:
                await stop(daemon.process)
        self._sweep({network.bridge for network in plan.networks})
        for config, network in wanted.items():
            await self._serve(plan, network, place, config, running.get(config), outside=outside)

    async def _serve(
        self,
        plan: Plan,
        network: PlannedNetwork,
        place: Namespace,
        config: Path,
        process: Process | None,
        *,
        outside: bool,
    ) -> None:
        hosts, names = dnsmasq.hosts(plan, network), dnsmasq.names(plan, network)
        digest = hashlib.sha256(f"{hosts}\0{names}".encode()).hexdigest()
        told = self._file(network, "told")
        if process is not None and _content(told) == digest:
            return
        write_atomically(self._file(network, "hosts"), hosts.encode())
        write_atomically(self._file(network, "names"), names.encode())
        if process is None:
            write_atomically(config, self._text(network, outside=outside).encode())
            await self._start(network, place, config)
        else:
            kill(process, SIGHUP)
        # Last: whoever is killed before this line is followed by one who does it again.
        write_atomically(told, digest.encode())

    async def _start(self, network: PlannedNetwork, place: Namespace, config: Path) -> None:
        setpriv, *rights = SOME_RIGHTS
        log = self._file(network, "log")
        process = await start(
            [
                *(*place.entering(), program(setpriv), *rights),
                *(program("dnsmasq"), f"{OPTION}{config}"),
            ],
            log,
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + START_S
        # Not before it listens: until then a signal would end it.
        while not _listens(process, network):
            if not alive(process) or loop.time() > end:
                raise Failed(f"dnsmasq does not serve network {network.id}: {words(log)}")
            await asyncio.sleep(LOOK_EVERY_S)

    def _config(self, network: PlannedNetwork, *, outside: bool) -> Path:
        """Return the file of the configuration, named by its content: a change needs a new run."""
        digest = hashlib.sha256(self._text(network, outside=outside).encode()).hexdigest()
        return self._directory / f"{network.bridge}.{digest[:16]}.conf"

    def _text(self, network: PlannedNetwork, *, outside: bool) -> str:
        hosts, names = self._file(network, "hosts"), self._file(network, "names")
        return dnsmasq.config(network, hosts, names, outside=outside)

    def _file(self, network: PlannedNetwork, suffix: str) -> Path:
        return self._directory / f"{network.bridge}.{suffix}"

    def _sweep(self, bridges: set[str]) -> None:
        for file in self._directory.iterdir():
            if file.name.partition(".")[0] not in bridges:
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


def _content(file: Path) -> str:
    with suppress(FileNotFoundError):
        return file.read_text()
    return ""


def _listens(process: Process, network: PlannedNetwork) -> bool:
    """Say whether a dnsmasq answers questions about names at its network's gateways."""
    # Source: proc(5): addresses are hexadecimal in the machine's order of bytes.
    wanted = {f"{int.from_bytes(g.packed, 'little'):08X}:{DNS:04X}" for g in network.gateways}
    with suppress(OSError):
        lines = (PROC / str(process.pid) / "net/udp").read_text().splitlines()[1:]
        return wanted <= {line.split()[1] for line in lines}
    return False
