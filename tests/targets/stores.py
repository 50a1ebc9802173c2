"""What is the same around every server that stands in for a store."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """One program that listens on a port of the loopback."""

    command: Sequence[str | Path]
    port: int
    log: Path


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Run servers until the block ends, which begins when all their ports are open."""
    with ExitStack() as stack:
        started = [stack.enter_context(_started(server)) for server in servers]
        until = time.monotonic() + 90
        for server, process in zip(servers, started, strict=True):
            while not _is_open(server.port):
                if time.monotonic() > until or process.poll() is not None:
                    text = server.log.read_text()[-2000:]
                    pytest.fail(f"{server.command[0]} did not start: {text}")
                time.sleep(0.05)
        yield


@contextmanager
def _started(server: Server) -> "Iterator[subprocess.Popen[bytes]]":
    with server.log.open("wb") as out:
        process = subprocess.Popen(server.command, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
