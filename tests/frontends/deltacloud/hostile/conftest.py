"""A server to be rude to."""

from collections.abc import Iterator

import pytest
from tests.frontends.deltacloud.hostile.raw import MAX_BODY_BYTES, Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that must not fail itself, whatever it is sent."""
    place = tmp_path_factory.mktemp("server")
    with running(place, "--max-body-bytes", str(MAX_BODY_BYTES)) as server:
        yield server
        assert server.errors() == []


@pytest.fixture
def kept(server: Server) -> Iterator[None]:
    """Check that the cloud is the same afterwards."""
    before = server.world()
    yield
    assert server.world() == before
