"""Servers under measurement: started, watched through /proc, and ended."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20


@dataclass(frozen=True)
class Server:
    """A running server: its process (and those it started), and where it answers."""

    pid: int
    url: str

    def cpu_s(self) -> float:
        """Return the CPU time so far, of user and system, with that of its workers."""
        return sum(_cpu_s(pid) for pid in self._pids())

    def memory_mib(self, what: str = "VmRSS") -> float:
        """Return the memory now (VmRSS) or at most so far (VmHWM), of the largest process."""
        return max(_status_kib(pid, what) for pid in self._pids()) / 1024

    def forget_peak(self) -> None:
        """Let VmHWM start anew."""
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _status_kib(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1])
    return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, within_s: float = 20) -> None:
    """Return when something accepts connections on a loopback port."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise SystemExit(f"nothing listens on port {port} after {within_s:g} s")


@contextmanager
def running(
    command: Sequence[str | Path], port: int, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """Run a server on a loopback port until the block ends."""
    process = subprocess.Popen(
        command,
        env=os.environ | (environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield Server(process.pid, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=30)
