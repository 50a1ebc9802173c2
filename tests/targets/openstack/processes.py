"""Daemons without systemd: started, watched and ended by the numbers they had at their start."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class Failed(Exception):
    """A part of the cloud did not come up; the message has the end of its log."""


class Processes:
    """The daemons of one cloud, by name. Nothing that was not started here is ever touched.

    `run` has a file for each, with its process id and start time: an id alone may be somebody
    else's by now. `log` takes what they print. `environment` is all that they get of one.
    """

    def __init__(self, run: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._run = run
        self._log = log
        self.environment = dict(environment)

    def alive(self, name: str) -> int | None:
        """Return the id of a process that was started and still runs."""
        try:
            id, started = self._file(name).read_text().split()
        except (OSError, ValueError):
            return None
        return int(id) if _start_time(int(id)) == started else None

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] = {}
    ) -> None:
        """Start a process in the background, unless it runs already."""
        if self.alive(name):
            return
        for place in (self._run, self._log):
            place.mkdir(parents=True, exist_ok=True)
        with self.log_of(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._file(name).write_text(f"{process.pid} {_start_time(process.pid)}")
        with (self._run / "order").open("a") as order:
            order.write(f"{name}\n")

    def wait_for(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        """Return as soon as a process is ready. Raises Failed when it ends before, or is late."""
        until = time.monotonic() + seconds
        while not ready():
            if not self.alive(name) or time.monotonic() > until:
                end = self.log_of(name).read_text(errors="replace")[-4000:]
                raise Failed(f"{name} is not coming up; its log ends so:\n{end}")
            time.sleep(0.3)

    def stop(self, *names: str, patience_s: float = 6.0) -> None:
        """End processes, all at once, with their process groups; by force after `patience_s`."""
        living = {name: id for name in names if (id := self.alive(name))}
        for id in living.values():
            _signal(id, signal.SIGTERM)
        until = time.monotonic() + patience_s
        while time.monotonic() < until and any(map(self.alive, living)):
            time.sleep(0.1)
        for name, id in living.items():
            if self.alive(name):
                _signal(id, signal.SIGKILL)
        for name in names:
            self._file(name).unlink(missing_ok=True)

    def started(self) -> list[str]:
        """Return the names of all that were started since the last `forget`, the oldest first."""
        order = self._run / "order"
        return list(dict.fromkeys(order.read_text().split())) if order.exists() else []

    def forget(self) -> None:
        (self._run / "order").unlink(missing_ok=True)

    def log_of(self, name: str) -> Path:
        return self._log / f"{name}.log"

    def _file(self, name: str) -> Path:
        return self._run / f"{name}.pid"


def _signal(id: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(id, number)


def _start_time(id: int) -> str | None:
    """Return when a process was started, in ticks since the boot; None when it is gone."""
    try:
        line = Path(f"/proc/{id}/stat").read_text()
    except OSError:
        return None
    fields = line.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
