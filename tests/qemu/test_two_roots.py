"""Two state directories on one machine have nothing to do with each other."""

from pathlib import Path

import pytest
from tests.machines import stock

from nimbi.qemu import GuestSpec, State, open_hypervisor

pytestmark = pytest.mark.guest
BOOT_S = 120


async def test_the_same_token_below_another_root_is_another_guest(
    tmp_path: Path, root: Path, image, ending
):
    stock(tmp_path, root)
    spec = GuestSpec(name="twin", image_id=image.id, memory_mib=96, token="same")
    try:
        async with open_hypervisor(root) as one, open_hypervisor(tmp_path) as other:
            kept, removed = await one.create(spec), await other.create(spec)
            assert kept.id == removed.id
            running = await one.wait(kept.id, frozenset({State.RUNNING}), BOOT_S)
            await other.wait(removed.id, frozenset({State.RUNNING}), BOOT_S)
            await other.destroy(removed.id)
            assert (await one.guest(kept.id)).pid == running.pid
            assert (await one.guest(kept.id)).state is State.RUNNING
            await one.destroy(kept.id)
    finally:
        ending(tmp_path)
