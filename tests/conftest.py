"""What holds for all tests."""

import asyncio
import os
import re
from collections.abc import Iterator

import pytest
from tests.targets import postgres

# Set to have all cases of the suites below; `make test-all` does.
ALL_CASES = "NIMBI_ALL_CASES"

# Where the conformance suite runs once more, over something that another run of it has met whole:
# a stand-in, a dialect, a rung of the ladder, a mock with faults. One case of each test is enough,
# and of what is tried with every fault of every kind of thing.
AGAIN = re.compile(
    r"drivers/(?:ec2|eucalyptus|s3)/test_(?:conformance|other_stores|faults_everywhere)[.]py::"
    r"|drivers/local/test_networking_conformance[.]py::.*\[user(?:ns)?\b"
    r"|drivers/mock/test_conformance[.]py::.*\[faulty\b"
)
VARIANT = re.compile(r"\[(?:user|userns|faulty)\b")
# Only on request: the rung that the others stand on, with fewest of their operations, and guests on
# the rung between, which the conformance suite meets too.
ON_REQUEST = re.compile(
    r"drivers/local/test_networking_conformance[.]py::.*\[user\b"
    r"|qemu/network/(?:fabric/test_guests|test_network)[.]py::.*\[userns\b"
)


def pytest_configure() -> None:
    """Say that there is no event loop yet.

    looptime asks for the present one before each test; before the first asynchronous test Python
    would make one up for it that nobody closes, and a later test fails for that.
    """
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let what takes minutes come first, and tests of the OpenStack that starts meanwhile last."""
    if not os.environ.get(ALL_CASES):
        seen: set[str] = set()
        left = [item for item in items if _is_left(item.nodeid, seen)]
        config.hook.pytest_deselected(items=left)
        out = set(map(id, left))
        items[:] = [item for item in items if id(item) not in out]
    items.sort(key=_turn)


def _is_left(nodeid: str, seen: set[str]) -> bool:
    """Return whether this is for request alone, or a further case of a test that runs once more."""
    if ON_REQUEST.search(nodeid):
        return True
    if not AGAIN.search(nodeid):
        return False
    variant = VARIANT.search(nodeid)
    test = nodeid.partition("[")[0] + (variant[0] if variant else "")
    known = test in seen
    seen.add(test)
    return known


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
