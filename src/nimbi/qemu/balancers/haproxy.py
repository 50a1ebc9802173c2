"""The one HAProxy of a state directory: started, given a new configuration, and ended."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nimbi.qemu.balancers.configuration import STATS, mark
from nimbi.qemu.errors import Failed
from nimbi.qemu.host.files import locked, private_directory, write_atomically, write_json
from nimbi.qemu.host.process import Process, alive, ended, identify, kill, with_argument
from nimbi.qemu.host.programs import SAID_AT_MOST, program, run

CONFIGURATION = "haproxy.cfg"
TRIED = "tried.cfg"
LOG = "haproxy.log"
PROCESS = "process.json"
LOG_BYTES = 2**20
FAILURE = "Loading failure"
"""What a HAProxy says that goes on as before, since it can't do what is new."""

READY_S = 15.0
KILL_S = 5.0
LOOK_EVERY_S = 0.02

# As QEMU, HAProxy is left behind as an orphan. Its log is appended to, so that it can be cut.
ORPHAN = f'"$@" </dev/null >>{LOG} 2>&1 & echo $!'


class HAProxy:
    """Runs in a directory of its own, unprivileged once it listens, and outlives us.

    `place` says where it runs, as the network namespace; `prefix` is what starts it there.
    """

    def __init__(self, root: Path) -> None:
        """Keep configuration, log and sockets in `root`, made when it does not exist."""
        self._root = private_directory(root)

    async def apply(self, text: str, *, place: str, prefix: Sequence[str | Path] = ()) -> None:
        """Bring HAProxy to this configuration without losing a connection; start it if need be.

        What it did before goes on when this fails. Raises Missing, and Failed for a text that it
        does not take, as when somebody else listens there.
        """
        async with self._alone():
            if await self._said() == mark(text) and self._living(place):
                return
            await self._check(text)
            said = self._cut_log()
            process = self._living(place)
            if process is None:
                await self._end()
                process = await self._start(place, prefix)
            else:
                kill(process, signal.SIGUSR2)
            await self._until(mark(text), process, said)

    async def end(self) -> None:
        """End HAProxy, with all of its connections. One that does not run is left so."""
        async with self._alone():
            await self._end()

    def runs(self) -> bool:
        """Say whether it has been started, and not ended by us: it may have died since."""
        return (self._root / PROCESS).exists()

    def _alone(self) -> contextlib.AbstractAsyncContextManager[None]:
        return locked(self._root / "lock")

    async def _check(self, text: str) -> None:
        write_atomically(self._root / TRIED, text.encode())
        await run("haproxy", "-c", "-q", "-f", TRIED, cwd=self._root)
        (self._root / TRIED).replace(self._root / CONFIGURATION)

    async def _start(self, place: str, prefix: Sequence[str | Path]) -> Process:
        words = (*prefix, program("haproxy"), "-W", "-f", self._root / CONFIGURATION)
        said = await run("sh", "-c", ORPHAN, "sh", *words, cwd=self._root)
        process = identify(int(said))
        if process is None:
            raise Failed("HAProxy did not start")
        write_json(self._root / PROCESS, {"place": place, "process": asdict(process)})
        return process

    async def _until(self, wanted: str, process: Process, said: int) -> None:
        """Wait for the worker that has the wanted configuration."""
        try:
            async with asyncio.timeout(READY_S):
                while await self._said() != wanted:
                    if not alive(process) or FAILURE in self._log(said):
                        break
                    await asyncio.sleep(LOOK_EVERY_S)
                else:
                    return
        except TimeoutError:
            pass
        raise Failed(f"HAProxy did not take its configuration: {self._log(said)[-SAID_AT_MOST:]}")

    async def _end(self) -> None:
        for process in self._masters():
            # Its workers see that it is gone, and end too.
            kill(process)
            await ended(process, KILL_S)
        for name in (PROCESS, STATS):
            (self._root / name).unlink(missing_ok=True)

    def _masters(self) -> list[Process]:
        """Return all that were started here, also those of a server that was killed meanwhile."""
        return with_argument(str(self._root / CONFIGURATION))

    def _living(self, place: str) -> Process | None:
        try:
            kept = json.loads((self._root / PROCESS).read_bytes())
        except FileNotFoundError:
            return None
        process = Process(**kept["process"])
        return process if kept["place"] == place and alive(process) else None

    async def _said(self) -> str | None:
        """Return the mark of the configuration that the present worker has."""
        # A unix socket's path holds 107 bytes at most; through the directory's descriptor any fits.
        directory = os.open(self._root, os.O_PATH | os.O_DIRECTORY)
        try:
            reader, writer = await asyncio.open_unix_connection(
                f"/proc/self/fd/{directory}/{STATS}"
            )
        except OSError:
            return None
        finally:
            os.close(directory)
        try:
            writer.write(b"show info\n")
            answer = (await reader.read()).decode("utf-8", "replace")
        except OSError:
            return None
        finally:
            writer.close()
        lines = dict(line.partition(": ")[::2] for line in answer.splitlines())
        return lines.get("description")

    def _log(self, start: int = 0) -> str:
        """Return what HAProxy has written since its log had this length."""
        try:
            with (self._root / LOG).open("rb") as log:
                log.seek(start)
                return log.read().decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return ""

    def _cut_log(self) -> int:
        """Empty a log that has become long, and return its length."""
        log = self._root / LOG
        if not log.exists():
            return 0
        if log.stat().st_size > LOG_BYTES:
            os.truncate(log, 0)
        return log.stat().st_size
