"""What tests of drivers share: an environment without AWS, and a server that stands in for it."""

from collections.abc import Iterator

import pytest
from tests.targets import moto as server


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of AWS, and of proxies."""
    server.without_aws(monkeypatch)


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a moto server, one for all tests of a worker."""
    with server.running(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def moto(moto_server: str) -> str:
    """Give the URL of a moto server that holds nothing yet."""
    server.reset(moto_server)
    return moto_server
