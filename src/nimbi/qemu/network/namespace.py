"""The place where all of it lives: one network namespace, held by a process that does nothing."""

import asyncio
import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Failed, QemuError
from nimbi.qemu.host.files import write_json
from nimbi.qemu.host.process import PROC, Process, alive, boot_id, identify
from nimbi.qemu.host.programs import program, run
from nimbi.qemu.network.daemons import found, network_of, start, stop, words
from nimbi.qemu.network.links import SIGN
from nimbi.qemu.network.rungs import Rung

HOLDER = "holder"
KEEPING = "tail"
"""The program that holds the namespace by doing nothing."""

RECORD = "namespace.json"
# What is meant for the fabric would shut off this machine's own network.
IF_HERE = (
    '[ "$(readlink /proc/self/ns/net)" = "net:[$0]" ] || { echo "not in the fabric" >&2; exit 1; };'
    ' exec "$@"'
)

HOLD_S = 10.0
LOOK_EVERY_S = 0.005

NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
DROPPING_RIGHTS = (
    "setpriv",
    "--bounding-set=-all,+setuid,+setgid,+kill",
    "--inh-caps=-all",
    "--no-new-privs",
)
SOME_RIGHTS = (
    "setpriv",
    "--bounding-set=-all,+net_admin,+net_raw,+net_bind_service",
    "--inh-caps=-all",
    "--no-new-privs",
)


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A network namespace of ours. `inode` names it as long as something is in it."""

    rung: Rung
    holder: Process
    inode: int

    @property
    def net(self) -> Path:
        """Return the file that stands for it."""
        return PROC / str(self.holder.pid) / "ns/net"

    @property
    def user(self) -> Path:
        """Return the file that stands for its owner, a user namespace."""
        return PROC / str(self.holder.pid) / "ns/user"

    def entering(self) -> tuple[str | Path, ...]:
        """Return the command that starts a program in here, with all rights over this place.

        It starts nothing when it finds itself anywhere else: the holder may have died, and its
        process id come to mean another process, which may be in this machine's own network.
        """
        user = (f"--user={self.user}",) if self.rung is Rung.USERNS else ()
        enter = (program("nsenter"), "--preserve-credentials", *user, f"--net={self.net}", "--")
        return (*enter, program("sh"), "-c", IF_HERE, str(self.inode))

    async def run(self, name: str, *arguments: str | Path, stdin: bytes = b"") -> bytes:
        """Run a program in here; as `programs.run`."""
        nsenter, *rest = self.entering()
        return await run(str(nsenter), *rest, program(name), *arguments, stdin=stdin)


class Namespaces:
    """Makes the namespace of one directory, and finds it again. Used under a lock."""

    def __init__(self, directory: Path, rung: Rung) -> None:
        """Keep what must be remembered in `directory`."""
        self._directory = directory
        self._rung = rung

    @property
    def holder(self) -> Path:
        """Return the file by whose name the holder is found: no other directory has it."""
        return self._directory / HOLDER

    async def find(self) -> Namespace | None:
        """Return the namespace if there is one; its holder is started again when it was killed.

        Holders of other namespaces, left by whoever was killed while making one, are ended.
        """
        held = self._held()
        kept = self._record().get("inode")
        chosen = next((n for n in held if n.inode == kept), None)
        if chosen is None and kept is not None:
            chosen = await self._recover(kept)
        if chosen is None and held:
            chosen = held[0]
        for other in held:
            if chosen is None or other.holder != chosen.holder:
                await stop(other.holder)
        return chosen

    def _held(self) -> list[Namespace]:
        own = network_of(os.getpid())
        made = []
        for daemon in found(str(self.holder)):
            inode = network_of(daemon.process.pid)
            if inode is not None and inode != own and _keeps(daemon.process):
                made.append(Namespace(rung=self._rung, holder=daemon.process, inode=inode))
        return made

    def _record(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError, ValueError):
            record = json.loads((self._directory / RECORD).read_bytes())
            if record["boot_id"] == boot_id():
                return dict(record)
        return {}

    async def _recover(self, inode: int) -> Namespace | None:
        """Hold again the namespace that only guests or our own programs have kept alive."""
        for pid in _inhabitants(inode):
            process = identify(pid)
            if process is None:
                continue
            place = Namespace(rung=self._rung, holder=process, inode=inode)
            # Inodes are used again: what has not our sign is somebody else's.
            with contextlib.suppress(QemuError):
                if await self._is_signed(place):
                    return await self._hold(place.entering(), inode)
        return None

    async def _is_signed(self, place: Namespace) -> bool:
        devices = json.loads(await place.run("ip", "-j", "link", "show", "dev", SIGN))
        return bool(devices[0].get("ifalias") == self._record().get("sign"))

    async def make(self) -> Namespace:
        """Return a new namespace, or one that was just being made, with its sign set up."""
        await self.end()
        user = ("--user", "--map-root-user") if self._rung is Rung.USERNS else ()
        return await self._hold((program("unshare"), *user, "--net", "--"), None)

    async def sign(self, place: Namespace) -> str:
        """Write down which namespace is ours, and return the alias that proves it."""
        record = self._record()
        if record.get("inode") != place.inode:
            record = {"inode": place.inode, "boot_id": boot_id(), "sign": secrets.token_hex(16)}
            write_json(
                self._directory / RECORD,
                {**record, "rung": self._rung.value, "holder": asdict(place.holder)},
            )
        return str(record["sign"])

    async def _hold(self, entering: tuple[str | Path, ...], inode: int | None) -> Namespace:
        """Start a holder, and return once it is in the namespace `inode`, or in a new one."""
        self.holder.touch(mode=0o600)
        own = network_of(os.getpid())
        setpriv, *rights = NO_RIGHTS
        log = self._directory / "holder.log"
        process = await start(
            [*entering, program(setpriv), *rights, program(KEEPING), "-f", self.holder], log
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + HOLD_S
        while loop.time() < end and alive(process):
            there = network_of(process.pid)
            if _keeps(process) and there not in (None, own):
                if inode in (None, there):
                    return Namespace(rung=self._rung, holder=process, inode=there or 0)
                break
            await asyncio.sleep(LOOK_EVERY_S)
        await stop(process)
        raise Failed(f"no network namespace can be held: {words(log)}")

    async def end(self) -> None:
        """End all holders, and forget. What else is in a namespace keeps it alive."""
        for daemon in found(str(self.holder)):
            await stop(daemon.process)
        (self._directory / RECORD).unlink(missing_ok=True)


def _keeps(process: Process) -> bool:
    """Say whether a holder is one already, and none of the programs that start it any more."""
    with contextlib.suppress(OSError):
        first = (PROC / str(process.pid) / "cmdline").read_bytes().partition(b"\0")[0]
        return Path(os.fsdecode(first)).name == KEEPING
    return False


def _inhabitants(inode: int) -> list[int]:
    """Return the processes in a network namespace, of those that may be looked at."""
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if network_of(pid) == inode]


def inhabitants(place: Namespace) -> list[int]:
    """Return the ids of the processes in a namespace."""
    return _inhabitants(place.inode)
