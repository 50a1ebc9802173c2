"""The host's disk runs full under a guest: it waits, loses nothing, and goes on."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.machines import stock

from nimbi.qemu import Capacity, GuestSpec, NotFound, State, open_hypervisor
from nimbi.qemu.guests.keys import generate
from nimbi.qemu.guests.supervision import FULL

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system"),
]
ROOMY, SMALL = "size=4g", "size=110m"
MUCH = 120_000_000
BOOT_S, WRITE_S = 120, 300


@pytest.fixture
def small_disk(tmp_path: Path, root: Path, image, ending) -> Iterator[Path]:
    """Give a state directory on a file system of its own, with the image in it."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", ROOMY, "nimbi-test", place], check=True)
    try:
        state = place / "state"
        stock(state, root)
        yield state
        ending(state)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def resized(state: Path, size: str) -> None:
    """Change how much fits on the disk of a state directory."""
    subprocess.run(["mount", "-o", f"remount,{size}", state.parent], check=True)


async def test_a_guest_whose_disk_cannot_grow_waits_and_goes_on(small_disk: Path, image):
    public, private = generate("ed25519")
    spec = GuestSpec(name="full", image_id=image.id, memory_mib=96, public_keys=(public,))
    async with open_hypervisor(small_disk) as hypervisor:
        guest = await hypervisor.create(spec)
        other = await hypervisor.create(replace(spec, name="other"))
        for each in (guest, other):
            await hypervisor.wait(each.id, frozenset({State.RUNNING, State.ERROR}), BOOT_S)
        resized(small_disk, SMALL)
        # What the guest makes in no time, so that a busy machine is not what is waited for.
        line = f"yes | head -c {MUCH} >/big; sync; yes | head -c {MUCH} | cmp - /big && echo same"
        writing = asyncio.create_task(hypervisor.run(guest.id, line, private, within_s=WRITE_S))
        paused = await hypervisor.wait(guest.id, frozenset({State.PAUSED}), WRITE_S)
        assert paused.reason == FULL
        with pytest.raises(Capacity):
            await hypervisor.create(GuestSpec(name="more", image_id=image.id, memory_mib=96))
        await hypervisor.destroy(other.id)
        with pytest.raises(NotFound):
            await hypervisor.guest(other.id)
        resized(small_disk, ROOMY)
        done = await writing
        assert (done.exit_code, done.out.strip()) == (0, b"same"), done.err
        assert (await hypervisor.guest(guest.id)).state is State.RUNNING
