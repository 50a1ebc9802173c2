"""One image and one booted guest, shared by all tests here."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.machines import apart, build_once, stock

from nimbi.qemu import Guest, GuestSpec, Hypervisor, Image, State, open_hypervisor
from nimbi.qemu.guests.keys import generate

SETTLED = frozenset({State.RUNNING, State.STOPPED, State.ERROR})
BOOT_S = 120
USER_DATA = b"#!/bin/sh\necho 'from <user> & data' >/root/ran\n"


@dataclass(frozen=True)
class Shared:
    """A guest that ran when the tests began, and the key that opens it."""

    root: Path
    id: str
    image_id: str
    private_key: str


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a state directory with the demo image; at the end no guest of it is left."""
    root = tmp_path_factory.mktemp("cloud")
    stock(root, build_once(tmp_path_factory))
    yield root
    apart(_destroy_all(root))


async def _destroy_all(root: Path) -> None:
    async with open_hypervisor(root) as hypervisor:
        for guest in await hypervisor.guests():
            await hypervisor.destroy(guest.id)


@pytest.fixture(scope="session")
def image(root: Path) -> Image:
    async def build() -> Image:
        async with open_hypervisor(root) as hypervisor:
            return await hypervisor.build_demo_image()

    return apart(build())


@pytest.fixture(scope="session")
def shared(root: Path, image: Image) -> Shared:
    public, private = generate("ed25519")
    spec = GuestSpec(
        name="Größe ✓",
        image_id=image.id,
        memory_mib=96,
        public_keys=(public,),
        user_data=USER_DATA,
        user_files={"/etc/a folder/file": b"given"},
    )

    async def boot() -> Guest:
        async with open_hypervisor(root) as hypervisor:
            guest = await hypervisor.create(spec)
            return await hypervisor.wait(guest.id, SETTLED, BOOT_S)

    guest = apart(boot())
    assert guest.state is State.RUNNING, guest.reason
    return Shared(root, guest.id, image.id, private)


@pytest.fixture
async def hypervisor(root: Path) -> AsyncIterator[Hypervisor]:
    async with open_hypervisor(root) as opened:
        yield opened


def _running(id: str) -> list[int]:
    """Return the process ids of all QEMUs of a guest: what the machine says, not our records."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if entry.name.isdigit() and f"guest={id}\0".encode() in arguments:
            found.append(int(entry.name))
    return found


@pytest.fixture(scope="session")
def ending() -> Callable[[Path], None]:
    """Give what destroys all guests of a state directory."""
    return lambda root: apart(_destroy_all(root))


@pytest.fixture
def running() -> Callable[[str], list[int]]:
    return _running
