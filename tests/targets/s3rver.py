"""s3rver (npm), a small store of S3 in JavaScript, installed into a directory of its own."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.targets.stores import Server, free_port, running

VERSION = "3.7.1"
USER = PASSWORD = "S3RVER"


def installed(place: Path) -> Path:
    """Return the program. Skips where npm cannot bring it."""
    if found := shutil.which("s3rver"):
        return Path(found)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, which brings s3rver")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", place, f"s3rver@{VERSION}"]
    brought = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if brought.returncode != 0:
        pytest.skip(f"npm cannot bring s3rver: {brought.stderr.strip()[-200:]}")
    return place / "node_modules" / ".bin" / "s3rver"


@contextmanager
def store(place: Path) -> Iterator[str]:
    """Run a store until the block ends, and give its URL."""
    program = installed(place)
    port = free_port()
    (place / "blobs").mkdir()
    flags = ["-a", "127.0.0.1", "-p", str(port), "-d", str(place / "blobs"), "--silent"]
    with running(Server([program, *flags], port, place / "log")):
        yield f"http://127.0.0.1:{port}"
