"""Images of guests, running and stopped."""

import asyncio
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from nimbi.qemu import (
    Conflict,
    Failed,
    GuestSpec,
    Hypervisor,
    Image,
    ImageState,
    Invalid,
    NotFound,
    State,
    open_hypervisor,
)
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP
from nimbi.qemu.images.store import DISK, INITRD, KERNEL

pytestmark = [pytest.mark.guest, pytest.mark.xdist_group("imaging")]
BOOT_S = 120
SETTLED = frozenset({State.RUNNING, State.STOPPED, State.ERROR})


async def made(hypervisor: Hypervisor, id: str) -> Image:
    async with asyncio.timeout(BOOT_S):
        while True:
            image = await hypervisor.image(id)
            if image.state is not ImageState.PENDING:
                return image
            await asyncio.sleep(0.02)


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


async def comes(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOOT_S):
        while not look():  # noqa: ASYNC110  what changes is a directory
            await asyncio.sleep(0.02)


def stands_alone(image: Image) -> bool:
    told = subprocess.run(
        ["qemu-img", "info", image.path / DISK], capture_output=True, text=True, check=True
    )
    return "backing" not in told.stdout


@pytest.fixture
def alone(tmp_path: Path, root: Path, image: Image, ending) -> Iterator[Path]:
    """Give a state directory of its own that has the demo image; no guest is left at the end."""
    place = tmp_path / "images" / image.id
    place.mkdir(parents=True)
    for part in image.path.iterdir():
        (place / part.name).hardlink_to(part)
    yield tmp_path
    ending(tmp_path)


@pytest.fixture
async def own(alone: Path) -> AsyncIterator[Hypervisor]:
    async with open_hypervisor(alone) as hypervisor:
        yield hypervisor


async def test_an_image_of_a_running_guest_boots_as_another_guest(
    hypervisor: Hypervisor, shared, image: Image
):
    mark = secrets.token_hex()
    await hypervisor.run(shared.id, f"echo {mark} >/root/mark; sync", shared.private_key)
    token = secrets.token_hex()
    first = await hypervisor.create_image(shared.id, name="mïne", description="d", token=token)
    again = await hypervisor.create_image(shared.id, name="mïne", description="d", token=token)
    assert first.id == again.id
    with pytest.raises(Conflict):
        await hypervisor.create_image(shared.id, name="other", token=token)
    copy = await made(hypervisor, first.id)
    assert (copy.state, copy.name, copy.origin) == (ImageState.AVAILABLE, "mïne", "guest")
    assert stands_alone(copy)
    for part in (KERNEL, INITRD):
        assert (copy.path / part).samefile(image.path / part)
    public = shared_public(shared.private_key)
    spec = GuestSpec(name="heir", image_id=copy.id, memory_mib=96, public_keys=(public,))
    heir = await hypervisor.create(spec)
    assert (await hypervisor.wait(heir.id, SETTLED, BOOT_S)).state is State.RUNNING
    said = await hypervisor.run(heir.id, "cat /root/mark /etc/hostname", shared.private_key)
    assert said.out.decode().split() == [mark, "heir"]
    with pytest.raises(Conflict, match=heir.id):
        await hypervisor.remove_image(copy.id)
    await hypervisor.destroy(heir.id)
    await hypervisor.remove_image(copy.id)
    with pytest.raises(NotFound):
        await hypervisor.image(copy.id)
    assert (await hypervisor.guest(shared.id)).state is State.RUNNING


def shared_public(private_key: str) -> str:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_ssh_private_key(private_key.encode(), None)
    form = serialization.PublicFormat.OpenSSH
    return loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


async def test_an_image_of_an_unknown_guest_is_not_found(own: Hypervisor):
    with pytest.raises(NotFound):
        await own.create_image("i-0123456789abcdef")
    with pytest.raises(NotFound):
        await own.create_image("../x")


@pytest.mark.parametrize("wish", [{"name": "a\nb"}, {"name": "n" * 256}, {"token": ""}])
async def test_a_wish_that_cannot_be_meant_is_invalid(own: Hypervisor, wish: dict[str, str]):
    with pytest.raises(Invalid):
        await own.create_image("i-0123456789abcdef", **wish)


async def at_rest(own: Hypervisor, image: Image) -> str:
    """Return a guest that was stopped while it booted: its disk is as good as new."""
    guest = await own.create(GuestSpec(name="g", image_id=image.id, memory_mib=96))
    await own.stop(guest.id, within_s=0)
    await own.wait(guest.id, frozenset({State.STOPPED}), BOOT_S)
    return guest.id


async def test_a_guest_that_boots_is_a_conflict(own: Hypervisor, image: Image):
    guest = await own.create(GuestSpec(name="g", image_id=image.id, memory_mib=96))
    with pytest.raises(Conflict):
        await own.create_image(guest.id)
    await own.destroy(guest.id)


async def test_a_removed_image_is_given_up(own: Hypervisor, image: Image):
    id = await at_rest(own, image)
    new = await own.create_image(id)
    await own.remove_image(new.id)
    with pytest.raises(NotFound):
        await made(own, new.id)
    second = await made(own, (await own.create_image(id)).id)
    assert second.state is ImageState.AVAILABLE
    assert {found.id for found in await own.images()} == {image.id, second.id}


async def test_an_image_that_failed_says_why_and_is_tried_again_by_its_token(
    own: Hypervisor, image: Image
):
    id = await at_rest(own, image)
    disk = own.root / "guests" / id / "disk.qcow2"
    whole = await asyncio.to_thread(disk.read_bytes)
    await asyncio.to_thread(disk.write_bytes, b"torn")
    new = await made(own, (await own.create_image(id, token="t")).id)
    assert new.state is ImageState.ERROR
    assert new.reason
    await asyncio.to_thread(disk.write_bytes, whole)
    again = await own.create_image(id, token="t")
    assert again.id == new.id
    assert (await made(own, new.id)).state is ImageState.AVAILABLE


VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from nimbi.qemu import open_hypervisor

root, guest, at = sys.argv[1:]
WATCHED = {"os.rename", "os.mkdir", "os.remove", "subprocess.Popen", "os.link"}
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
        image = await hypervisor.create_image(guest, name="n", token="t")
        while (await hypervisor.image(image.id)).state == "pending":
            await asyncio.sleep(0.02)
        armed = False
    print(int(at) - left)

sys.addaudithook(hook)
asyncio.run(main())
"""


async def copies(guest: Path) -> list[str]:
    """Return the copies that the guest's QEMU, if it runs, still makes."""
    try:
        async with conversation(guest / QMP) as talk:
            return [job["id"] for job in await talk.ask("query-jobs")]
    except Failed:
        return []


async def running(own: Hypervisor, image: Image) -> str:
    guest = await own.create(GuestSpec(name="g", image_id=image.id, memory_mib=96))
    assert (await own.wait(guest.id, SETTLED, BOOT_S)).state is State.RUNNING
    return guest.id


# Every event with a guest at rest, every fourth with a running one.
@pytest.mark.parametrize(("begin", "step"), [(at_rest, 1), (running, 4)])
async def test_an_image_whose_maker_is_killed_anywhere_is_finished_or_never_was(
    own: Hypervisor, image: Image, begin: Callable[..., Awaitable[str]], step: int
):
    id = await begin(own, image)
    await own.close()
    at = 0
    while True:
        at += step
        command = [sys.executable, "-c", VICTIM, str(own.root), id, str(at)]
        ended = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE)
        async with open_hypervisor(own.root) as again:
            for found in await again.images():
                await made(again, found.id)
            new = await made(again, (await again.create_image(id, name="n", token="t")).id)
            assert new.state is ImageState.AVAILABLE, (at, new.reason)
            assert await asyncio.to_thread(stands_alone, new)
            assert {found.id for found in await again.images()} == {image.id, new.id}
            await again.remove_image(new.id)
            # What is left would be a leak: each further one would add to it. The maker's own
            # workspace goes a moment after its image has come.
            await comes(lambda: names(own.root / "images") == {"blobs", image.id})
            assert await copies(own.root / "guests" / id) == [], at
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended
    assert at > 10
