"""A real OpenStack on this machine, in which each worker has projects of its own."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection
from tests.drivers.openstack.told import Canned, canned_cloud
from tests.targets.openstack import waiting
from tests.targets.openstack.entrance import entrance
from tests.targets.openstack.projects import Project, connected, new_project, quiet

from nimbi.drivers.openstack import DRIVER
from nimbi.drivers.openstack.login import Login
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud

EVERYTHING = "NIMBI_OPENSTACK_EVERYTHING"
HERE = "tests/drivers/openstack/"
SUITE = "test_conformance.py::"
LONG = (
    "test_addresses.py::test_one_can_talk_",
    "test_compute.py::",
    "test_faults.py::TestFaults::",
    "test_faults.py::test_instances_",
    *(
        f"{SUITE}Test{kind}::"
        for kind in (
            "Addresses",
            "Blobs",
            "Firewalls",
            "Images",
            "Instances",
            "Metrics",
            "NetworkInterfaces",
            "Networks",
            "Routers",
            "Snapshots",
            "Subnets",
            "Volumes",
        )
    ),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes a real cloud long, unless all is wanted, as by `make test-openstack`.

    That is what boots guest after guest or plugs networks, the suite over blobs, and all but the
    first case of each test of the suite, which canned servers and other drivers meet.
    """
    if os.environ.get(EVERYTHING):
        return
    seen: set[str] = set()
    left = [item for item in items if HERE in item.nodeid and _is_long(item.nodeid, seen)]
    if left:
        config.hook.pytest_deselected(items=left)
        out = set(map(id, left))
        items[:] = [item for item in items if id(item) not in out]


def _is_long(nodeid: str, seen: set[str]) -> bool:
    name = nodeid.partition(HERE)[2]
    if name.startswith(LONG):
        return True
    test = name.partition("[")[0]
    if not name.startswith(SUITE):
        return False
    again = test in seen
    seen.add(test)
    return again


@pytest.fixture(autouse=True)
def _without_openstack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of OpenStack."""
    for name in list(os.environ):
        if name.startswith("OS_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def openstack_target() -> str:
    """Give the URL of Keystone as soon as the cloud answers that `make` starts.

    Tests that ask for it come last.
    """
    return waiting.cloud()


@pytest.fixture(scope="session")
def target(openstack_target: str) -> str:
    return openstack_target


@pytest.fixture(scope="session")
def project(target: str, worker: str) -> Iterator[Project]:
    """Give a project in which nobody else is."""
    with new_project(worker) as made:
        yield made


@pytest.fixture(scope="session")
def other_project(target: str, worker: str) -> Iterator[Project]:
    """Give one more project, of somebody else."""
    with new_project(f"{worker}-other") as made:
        yield made


@pytest.fixture(scope="session")
def worker() -> str:
    """Return the name of this worker of pytest-xdist, `main` without."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def oracle(project: Project) -> Iterator[Connection]:
    """Give openstacksdk, logged in to the same project."""
    with quiet(), project.connected() as connection:
        yield connection


@pytest.fixture(scope="session")
def admin(target: str) -> Iterator[Connection]:
    """Give openstacksdk, logged in as the operator of the cloud."""
    with quiet(), connected() as connection:
        yield connection


@pytest.fixture(scope="session")
def image_id(oracle: Connection) -> str:
    """Return the id of the image `tiny`."""
    with quiet():
        return str(oracle.image.find_image("tiny", ignore_missing=False).id)


@pytest.fixture(scope="session")
def profile_id(oracle: Connection) -> str:
    """Return the id of the smallest flavour that boots the image."""
    with quiet():
        return str(oracle.compute.find_flavor("m1.nano", ignore_missing=False).id)


@pytest.fixture(scope="session")
def guest_id(oracle: Connection, project: Project, image_id: str, profile_id: str) -> str:
    """Boot a guest once, for all tests of a worker that need one and destroy none."""
    networks = [{"uuid": project.network_id}]
    with quiet():
        made = oracle.compute.create_server(
            name="shared", image_id=image_id, flavor_id=profile_id, networks=networks
        )
    return str(made.id)


@pytest.fixture(scope="session")
def keystone(target: str) -> Iterator[str]:
    """Give the URL of a Keystone that is quick to log in to."""
    with entrance(target) as url:
        yield url


@pytest.fixture
async def cloud(project: Project, keystone: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give a login to the worker's project."""
    async with opened(DRIVER, tmp_path, credentials=login(project), provider=keystone) as cloud:
        yield cloud


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[Canned, Cloud]]:
    """Give a cloud that says what it is told to say, and a login to it."""
    async with canned_cloud(tmp_path) as both:
        yield both


@pytest.fixture
async def canned(both: tuple[Canned, Cloud]) -> Canned:
    return both[0]


@pytest.fixture
async def told(both: tuple[Canned, Cloud]) -> Cloud:
    return both[1]


def login(project: Project) -> Login:
    """Return the credentials of a project's user, as Basic carries them."""
    return Login(f"{project.user}+{project.name}", project.password)
