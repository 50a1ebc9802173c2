"""A server of moto's, which stands in for AWS, and a login to it."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nimbi.driver.interface import Account, Place
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivers.ec2.login import AccessKey
from nimbi.drivers.ec2.session import Session, Settings, open_session, start
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud

LOGIN = AccessKey("AKIATESTTESTTESTTEST", "secret/of+the=test")
REGION = "eu-west-1"

# moto launches instances of what there is not, unless it is told to look. A few images are made
# faster than the 1,300 that it comes with.
STRICT = {
    "MOTO_AMIS_PATH": str(Path(__file__).with_name("amis.json")),
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "true",
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "S3_UPLOAD_PART_MIN_SIZE": "1",  # the suite sends small parts
}

# Nothing of whoever runs the tests may change them, and nothing may look for the instance's role.
AWS_FREE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of AWS."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in AWS_FREE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a moto server, one for all tests of a worker."""
    program = Path(sys.executable).with_name("moto_server")
    if not program.exists():
        pytest.skip("moto is not installed")
    log = tmp_path_factory.mktemp("moto") / "log"
    # Whatever address moto makes up is reached by nobody.
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with log.open("wb") as out:
        server = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", "0"],
            stdout=out,
            stderr=out,
            env=clean | AWS_FREE | STRICT | nowhere | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        yield _address(server, log)
    finally:
        server.terminate()
        server.wait(10)


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    import time

    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"moto did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def moto(moto_server: str) -> str:
    """Give the URL of a moto server that holds nothing yet."""
    reset(moto_server)
    return moto_server


def reset(url: str) -> None:
    """Empty a moto server."""
    request = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30):
        pass


@pytest.fixture
async def cloud(moto: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give a login to one region of an empty AWS."""
    settings = {"endpoint_url": moto}
    async with opened(
        DRIVER, tmp_path, settings=settings, credentials=LOGIN, provider=REGION
    ) as cloud:
        yield cloud


@pytest.fixture
async def session(moto: str, tmp_path: Path) -> AsyncIterator[Session]:
    """Give the driver's own session, below the gateway."""
    async with (
        start(Settings(endpoint_url=moto), Place(tmp_path)) as backend,
        open_session(backend, Account(LOGIN, REGION)) as session,
    ):
        yield session
