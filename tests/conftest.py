"""What holds for all tests."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.targets import postgres


def pytest_configure() -> None:
    """Say that there is no event loop yet.

    looptime asks for the present one before each test; before the first asynchronous test Python
    would make one up for it that nobody closes, and a later test fails for that.
    """
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes minutes come first, and tests of the OpenStack that starts meanwhile last."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if "openstack_target" in getattr(item, "fixturenames", ()):
        return 2
    # Begun late, it would have the other processes wait for it at the end.
    return 0 if item.get_closest_marker("minutes") else 1


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Server]:
    """Give a real PostgreSQL, which makes an empty database for whoever asks it."""
    with postgres.running() as server:
        yield server
