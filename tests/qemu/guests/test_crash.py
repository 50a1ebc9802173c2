"""A process that works on guests is killed at one point after the other."""

import asyncio
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machines import stock

from nimbi.qemu import Conflict, GuestSpec, Hypervisor, State, open_hypervisor
from nimbi.qemu.hypervisor import guest_id

pytestmark = [pytest.mark.guest, pytest.mark.xdist_group("crash")]
BOOT_S = 120

VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from nimbi.qemu import GuestSpec, State, open_hypervisor

root, image, token, at = sys.argv[1:]
WATCHED = {"os.rename", "os.mkdir", "os.remove", "subprocess.Popen", "fcntl.flock", "os.link"}
left = int(at)
armed = False

def hook(event, arguments):
    global left
    if armed and event in WATCHED:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    global armed
    async with open_hypervisor(Path(root)) as hypervisor:
        armed = True
        guest = await hypervisor.create(
            GuestSpec(name="v", image_id=image, memory_mib=96, token=token)
        )
        while (await hypervisor.guest(guest.id)).pid is None:
            await asyncio.sleep(0.02)
        armed = False
        print(guest.id, flush=True)
        await asyncio.sleep(600)

sys.addaudithook(hook)
asyncio.run(main())
"""


def victim(root: Path, image_id: str, token: str, at: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(root), image_id, token, str(at)],
        stdout=subprocess.PIPE,
    )


async def started(hypervisor: Hypervisor, id: str) -> int:
    async with asyncio.timeout(BOOT_S):
        while True:
            if (pid := (await hypervisor.guest(id)).pid) is not None:
                return pid
            await asyncio.sleep(0.02)


def traces(root: Path, id: str) -> list[Path]:
    return [*(root / "guests").iterdir(), *root.rglob(f"*{id}*")]


@pytest.fixture
def alone(tmp_path: Path, root: Path, image, ending) -> Iterator[Path]:
    """Give a state directory of its own that has the image; no guest is left, come what may."""
    stock(tmp_path, root)
    yield tmp_path
    ending(tmp_path)


# Every event up to QEMU's start; which is which may change with the code, that all are met not.
@pytest.mark.parametrize("at", [*range(1, 28), 10_000])
async def test_a_create_killed_anywhere_gives_one_guest_or_none(
    alone: Path, image, running, at: int
):
    token = secrets.token_hex()
    process = victim(alone, image.id, token, at)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    id = guest_id(token)
    async with open_hypervisor(alone) as hypervisor:
        spec = GuestSpec(name="v", image_id=image.id, memory_mib=96, token=token)
        assert (await hypervisor.create(spec)).id == id
        assert [guest.id for guest in await hypervisor.guests()] == [id]
        pid = await started(hypervisor, id)
        assert running(id) == [pid]
        await hypervisor.destroy(id)
        assert running(id) == []
        assert traces(alone, id) == []


async def test_a_guest_outlives_the_killed_process_and_is_found_again(alone: Path, image, running):
    process = victim(alone, image.id, secrets.token_hex(), 10_000)
    assert process.stdout is not None
    with process:
        id = process.stdout.readline().decode().strip()
        process.kill()
    (pid,) = running(id)
    async with open_hypervisor(alone) as hypervisor, open_hypervisor(alone) as second:
        guest = await hypervisor.wait(id, frozenset({State.RUNNING, State.ERROR}), BOOT_S)
        assert (guest.state, guest.pid) == (State.RUNNING, pid)
        assert await second.guests() == [guest]
        # Two who do the same at once are as good as one.
        await hypervisor.stop(id)
        await second.stop(id)
        await second.wait(id, frozenset({State.STOPPED}), BOOT_S)
        await second.destroy(id)
        assert await hypervisor.guests() == []
    assert running(id) == []


async def test_a_token_gives_the_same_guest_and_refuses_another(hypervisor, image):
    spec = GuestSpec(name="one", image_id=image.id, memory_mib=96, token="token ✓ \x00")
    first = await hypervisor.create(spec)
    again = await hypervisor.create(spec)
    assert (again.id, again.ports) == (first.id, first.ports)
    other = GuestSpec(name="two", image_id=image.id, memory_mib=96, token="token ✓ \x00")
    with pytest.raises(Conflict):
        await hypervisor.create(other)
    await hypervisor.destroy(first.id)
