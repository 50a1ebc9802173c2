"""A PostgreSQL server of our own: in a directory that is thrown away, on a socket and loopback."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.targets.stores import free_port

# Where packages keep the programs that only a server needs.
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
USER = "nimbi"
PASSWORD = "pg-password-of-tests"
# It refuses to run as root; whichever of these there is.
UNPRIVILEGED = ("postgres", "nobody")
START_S = 60
# Nothing has to survive a loss of power.
FLAGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "timezone": "Asia/Kathmandu",
}


@dataclass
class Server:
    """A running server; each database that it makes is empty."""

    port: int
    directory: Path
    psql: Path
    made: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def new_database(self, template: str = "template0") -> str:
        """Make a database, and return its URL."""
        name = f"t{secrets.token_hex(6)}"
        self.run(f"create database {name} template {template}")
        self.made.append(name)
        return self.url(name)

    def run(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser, and return what it prints, one row a line."""
        command = [self.psql, "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.directory]
        command += ["-p", str(self.port), "-U", USER, "-d", database, "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running() -> Iterator[Server]:
    """Run a server until the block ends. Skips where PostgreSQL is not installed, but not in CI."""
    if not BINARIES:
        missing = "PostgreSQL is not installed (Debian: postgresql)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    # pytest's own directories are closed to other users.
    place = Path(tempfile.mkdtemp(prefix="nimbi-pg-"))
    try:
        yield from _served(place, BINARIES[-1])
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _served(place: Path, programs: Path) -> Iterator[Server]:
    user = _user()
    if user is not None:
        os.chown(place, user, -1)
    password = place / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    init = [programs / "initdb", "-D", place / "data", "-U", USER, "-E", "UTF8"]
    init += ["--locale=C.UTF-8", "--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256"]
    made = subprocess.run(
        [*init, f"--pwfile={password}"], capture_output=True, text=True, user=user, cwd=place
    )
    assert made.returncode == 0, made.stderr
    port = free_port()
    flags = [f"-c{key}={value}" for key, value in FLAGS.items()]
    log = place / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [programs / "postgres", "-D", place / "data", "-p", str(port), "-k", place, *flags],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            user=user,
            cwd=place,
        )
    try:
        _await(process, place / "data" / "postmaster.pid", log)
        yield Server(port, place, programs / "psql")
    finally:
        # At once, whoever is connected.
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)


def _user() -> int | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)


def _await(process: "subprocess.Popen[bytes]", state: Path, log: Path) -> None:
    # The eighth line of the file is how far the server is.
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        lines = state.read_text().splitlines() if state.exists() else []
        if len(lines) >= 8 and lines[7].strip() == "ready":
            return
        time.sleep(0.02)
    pytest.fail(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
