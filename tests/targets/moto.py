"""A server of moto's, which stands in for AWS."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Nothing of whoever runs the tests may change them, and nothing may look for an instance's role.
AWS_FREE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
# moto launches instances of what there is not, unless it is told to look. A few images are made
# faster than the 1,300 that it comes with, and the conformance suite sends small parts.
STRICT = {
    "MOTO_AMIS_PATH": str(Path(__file__).with_name("amis.json")),
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "true",
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "S3_UPLOAD_PART_MIN_SIZE": "1",
}
# Whatever address moto makes up is reached by nobody.
NOWHERE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def without_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in AWS_FREE.items():
        monkeypatch.setenv(name, value)


@contextmanager
def running(place: Path) -> Iterator[str]:
    """Run a server until the block ends, and give its URL."""
    program = Path(sys.executable).with_name("moto_server")
    if not program.exists():
        pytest.skip("moto is not installed")
    log = place / "log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("wb") as out:
        server = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", "0"],
            stdout=out,
            stderr=out,
            env=clean | AWS_FREE | STRICT | NOWHERE | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        yield _address(server, log)
    finally:
        # It keeps nothing, and takes its time to end by itself.
        server.kill()
        server.wait()


def reset(url: str) -> None:
    """Empty a server."""
    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
        pass


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"moto did not start: {log.read_text()[-2000:]}")
