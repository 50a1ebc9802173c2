"""A server that works on disks is killed at one point after the other."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.qemu.disks.conftest import agrees, fill, holds, settled

from nimbi.qemu import Conflict, Guest, Hypervisor, NotFound, open_hypervisor
from nimbi.qemu.disks.records import DISK, Hold

pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.xdist_group("guest")]

VICTIMS = """
import asyncio, json, os, signal, sys
from pathlib import Path
from nimbi.qemu import open_hypervisor

WATCHED = {
    "os.rename", "os.mkdir", "os.remove", "os.chmod", "os.rmdir", "subprocess.Popen",
    "socket.connect",
}
OURS = ("volumes", "snapshots", "vol-", "snap-", "qemu-img", "qmp.sock")
met = 0
deadly = None

def hook(event, arguments):
    global met
    if deadly is None or event not in WATCHED:
        return
    # What the server does beside, for guests and networks, is no step of ours.
    if any(word in str(arguments) for word in OURS):
        met += 1
        if met == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

async def act(root, store, verb, words, options):
    global deadly
    async with open_hypervisor(Path(root)) as hypervisor:
        deadly = at
        made = await getattr(getattr(hypervisor, store), verb)(*words, **options)
        while store == "snapshots" and verb == "create":
            if (await hypervisor.snapshots.get(made.id)).state != "pending":
                break
            await asyncio.sleep(0.01)
        deadly = None

sys.addaudithook(hook)
for line in sys.stdin:
    at, *work = json.loads(line)
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(act(*work))
        except Exception as error:
            print("failed", type(error).__name__, error, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print("killed" if os.WIFSIGNALED(status) else "done", flush=True)
"""

Act = tuple[str, str, list[Any], dict[str, Any]]
Check = Callable[[Hypervisor], Awaitable[None]]


@pytest.fixture(scope="module")
def victims() -> Iterator[subprocess.Popen[str]]:
    """Give a process that forks servers, so that each is there at once, and has them die."""
    with subprocess.Popen(
        [sys.executable, "-c", VICTIMS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def ends(victims: subprocess.Popen[str], root: Any, at: int, act: Act) -> str:
    """Return how a server ended that did this and died at its `at`-th step, or did all of it."""
    assert victims.stdin is not None
    assert victims.stdout is not None
    victims.stdin.write(json.dumps([at, str(root), *act]) + "\n")
    victims.stdin.flush()
    return victims.stdout.readline().strip()


def virtual_bytes(disk: Path) -> int:
    told = subprocess.run(["qemu-img", "info", "--output=json", disk], capture_output=True)
    return int(json.loads(told.stdout)["virtual-size"])


async def volume_with_data(hypervisor: Hypervisor) -> str:
    volume = await hypervisor.volumes.create(size_gib=1)
    fill(hypervisor.root, volume.id)
    return volume.id


async def again(hypervisor: Hypervisor, act: Act) -> Any:
    store, verb, words, options = act
    with suppress(Conflict, NotFound):
        return await getattr(getattr(hypervisor, store), verb)(*words, **options)


async def creating(hypervisor: Hypervisor, guest: Guest, at: int) -> tuple[Act, Check]:
    async def one(hypervisor: Hypervisor) -> None:
        (volume,) = await hypervisor.volumes.all()
        await hypervisor.volumes.destroy(volume.id)

    return ("volumes", "create", [], {"size_gib": 1, "token": f"c{at}"}), one


async def attaching(hypervisor: Hypervisor, guest: Guest, at: int) -> tuple[Act, Check]:
    id = await volume_with_data(hypervisor)

    async def is_attached(hypervisor: Hypervisor) -> None:
        assert (await hypervisor.volumes.get(id)).guest_id == guest.id
        await hypervisor.volumes.detach(id)
        assert holds(hypervisor.root / "volumes" / id / DISK)
        await hypervisor.volumes.destroy(id)

    return ("volumes", "attach", [id, guest.id], {}), is_attached


async def detaching(hypervisor: Hypervisor, guest: Guest, at: int) -> tuple[Act, Check]:
    id = await volume_with_data(hypervisor)
    await hypervisor.volumes.attach(id, guest.id)

    async def is_free(hypervisor: Hypervisor) -> None:
        assert (await hypervisor.volumes.get(id)).hold is Hold.FREE
        assert holds(hypervisor.root / "volumes" / id / DISK)
        await hypervisor.volumes.destroy(id)

    return ("volumes", "detach", [id], {}), is_free


async def growing(hypervisor: Hypervisor, guest: Guest, at: int) -> tuple[Act, Check]:
    id = await volume_with_data(hypervisor)
    await hypervisor.volumes.attach(id, guest.id)

    async def is_larger(hypervisor: Hypervisor) -> None:
        assert (await hypervisor.volumes.get(id)).size_gib == 2
        await hypervisor.volumes.detach(id)
        disk = hypervisor.root / "volumes" / id / DISK
        assert virtual_bytes(disk) == 2 * 2**30
        await hypervisor.volumes.destroy(id)

    return ("volumes", "resize", [id, 2], {}), is_larger


async def destroying(hypervisor: Hypervisor, guest: Guest, at: int) -> tuple[Act, Check]:
    id = await volume_with_data(hypervisor)

    async def is_gone(hypervisor: Hypervisor) -> None:
        assert await hypervisor.volumes.all() == []

    return ("volumes", "destroy", [id], {}), is_gone


async def snapping(
    hypervisor: Hypervisor, guest: Guest, at: int, *, attached: bool = True
) -> tuple[Act, Check]:
    id = await volume_with_data(hypervisor)
    if attached:
        await hypervisor.volumes.attach(id, guest.id)
    act: Act = ("snapshots", "create", [id], {"token": f"s{at}"})

    async def is_whole(hypervisor: Hypervisor) -> None:
        (snapshot,) = await hypervisor.snapshots.all()
        done = await settled(hypervisor, snapshot.id)
        if not done.is_completed:
            await again(hypervisor, act)
            done = await settled(hypervisor, snapshot.id)
        assert done.is_completed, done.error
        assert holds(hypervisor.root / "snapshots" / snapshot.id / DISK)
        await agrees(hypervisor)
        if attached:
            await hypervisor.volumes.detach(id)
        await hypervisor.volumes.destroy(id)
        await hypervisor.snapshots.destroy(snapshot.id)

    return act, is_whole


async def snapping_apart(hypervisor: Hypervisor, guest: Guest, at: int) -> tuple[Act, Check]:
    return await snapping(hypervisor, guest, at, attached=False)


async def deriving(hypervisor: Hypervisor, guest: Guest, at: int) -> tuple[Act, Check]:
    id = await volume_with_data(hypervisor)
    snapshot = await settled(hypervisor, (await hypervisor.snapshots.create(id)).id)
    await hypervisor.volumes.destroy(id)

    async def has_data(hypervisor: Hypervisor) -> None:
        (volume,) = await hypervisor.volumes.all()
        assert holds(hypervisor.root / "volumes" / volume.id / DISK)
        await hypervisor.volumes.destroy(volume.id)
        await hypervisor.snapshots.destroy(snapshot.id)

    return ("volumes", "create", [], {"snapshot_id": snapshot.id, "token": f"d{at}"}), has_data


ACTS = [creating, attaching, detaching, growing, destroying, snapping, snapping_apart, deriving]


@pytest.mark.parametrize("prepare", ACTS)
async def test_what_was_killed_anywhere_is_mended_by_doing_it_again(
    shared, guest, victims, prepare
):
    """The first one that does not die tells that all points were met."""
    for at in range(1, 200):
        async with open_hypervisor(shared.root) as before:
            act, check = await prepare(before, guest, at)
        # Other servers go on meanwhile: the loop here must, too.
        how = await asyncio.to_thread(ends, victims, shared.root, at, act)
        assert how in {"killed", "done"}, how
        async with open_hypervisor(shared.root) as hypervisor:
            await again(hypervisor, act)
            await agrees(hypervisor)
            await check(hypervisor)
            await agrees(hypervisor)
        if how == "done":
            assert at > 3
            return
    raise AssertionError("it never came to its end")
