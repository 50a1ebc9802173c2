"""What becomes of a guest is heard from its QEMU, and seen at once."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nimbi.qemu import (
    Conflict,
    Guest,
    GuestSpec,
    Hypervisor,
    Image,
    Invalid,
    State,
    open_hypervisor,
)
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP, RECORD

pytestmark = [pytest.mark.guest, pytest.mark.xdist_group("supervision")]
SETTLED = frozenset({State.RUNNING, State.STOPPED, State.ERROR})
BOOT_S = 120


@pytest.fixture(scope="session")
def watched(root, image) -> dict[str, str]:
    """Hold the id of one guest for all tests here."""
    return {}


@pytest.fixture
async def guest(hypervisor: Hypervisor, image, watched) -> AsyncIterator[Guest]:
    """Give one running guest, as the last test left it or started again."""
    if "id" not in watched:
        spec = GuestSpec(name="watched", image_id=image.id, memory_mib=96)
        watched["id"] = (await hypervisor.create(spec)).id
    guest = await hypervisor.guest(watched["id"])
    if guest.state is State.STOPPED:
        await hypervisor.start(guest.id)
    if guest.state is State.PAUSED:
        await hypervisor.resume(guest.id)
    yield await hypervisor.wait(guest.id, SETTLED, BOOT_S)


async def heard(hypervisor: Hypervisor, id: str, state: State) -> Guest:
    return await hypervisor.wait(id, frozenset({state}), 10)


async def test_a_paused_guest_stands_still_and_goes_on(hypervisor: Hypervisor, guest: Guest):
    assert (await hypervisor.pause(guest.id)).state is State.PAUSED
    assert (await hypervisor.pause(guest.id)).state is State.PAUSED
    with pytest.raises(Conflict):
        await hypervisor.reboot(guest.id)
    assert (await hypervisor.resume(guest.id)).state is State.RUNNING
    assert (await hypervisor.resume(guest.id)).pid == guest.pid


async def test_what_others_do_to_a_guest_is_heard(root, hypervisor: Hypervisor, guest: Guest):
    async with conversation(root / "guests" / guest.id / QMP) as talk:
        await talk.ask("stop")
        await heard(hypervisor, guest.id, State.PAUSED)
        await talk.ask("cont")
    await heard(hypervisor, guest.id, State.RUNNING)


async def test_a_server_that_comes_later_knows_of_a_pause(root, guest: Guest, hypervisor):
    # Only one server is told the events of a guest: the others see the record that it keeps.
    await hypervisor.pause(guest.id)
    async with open_hypervisor(root) as another:
        assert (await another.guest(guest.id)).state is State.PAUSED
        await another.resume(guest.id)
    assert (await hypervisor.guest(guest.id)).state is State.RUNNING


async def test_a_paused_guest_can_be_stopped(hypervisor: Hypervisor, guest: Guest):
    await hypervisor.pause(guest.id)
    await hypervisor.stop(guest.id)
    await hypervisor.wait(guest.id, frozenset({State.STOPPED}), 60)
    assert b"nimbi: stopping" in await hypervisor.console(guest.id)


async def test_sizes_change_only_at_rest(hypervisor: Hypervisor, guest: Guest):
    with pytest.raises(Conflict):
        await hypervisor.resize(guest.id, memory_mib=128)
    await hypervisor.stop(guest.id)
    await hypervisor.wait(guest.id, frozenset({State.STOPPED}), 60)
    with pytest.raises(Invalid):
        await hypervisor.resize(guest.id, memory_mib=1)
    changed = await hypervisor.resize(guest.id, memory_mib=104, cpus=2)
    assert (changed.memory_mib, changed.cpus) == (104, 2)
    await hypervisor.start(guest.id)
    running = await hypervisor.wait(guest.id, SETTLED, BOOT_S)
    assert running.state is State.RUNNING, running.reason
    started = await asyncio.to_thread(Path(f"/proc/{running.pid}/cmdline").read_text)
    assert "-smp\x002\x00" in started


async def test_an_end_is_news_without_any_look(hypervisor: Hypervisor, guest: Guest):
    news = hypervisor.supervisor.news
    assert guest.pid is not None
    os.kill(guest.pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        await news.wait()
    assert (await hypervisor.guest(guest.id)).state is State.STOPPED


async def test_a_guest_that_ended_with_its_host_boots_again(root: Path, image: Image):
    async with open_hypervisor(root) as before:
        made = await before.create(GuestSpec(name="lost", image_id=image.id, memory_mib=96))
        first = await before.wait(made.id, SETTLED, BOOT_S)
    assert first.pid is not None
    # As after a power cut: the process is of an earlier run of the host.
    file = root / "guests" / made.id / RECORD
    record = json.loads(file.read_bytes())
    record["process"]["boot_id"] = "00000000-0000-0000-0000-000000000000"
    file.write_text(json.dumps(record))
    os.kill(first.pid, signal.SIGKILL)
    async with open_hypervisor(root) as after:
        assert (await after.guest(made.id)).state is State.PENDING
        again = await after.wait(made.id, frozenset({State.RUNNING}), BOOT_S)
        assert again.pid != first.pid
        await after.destroy(made.id)


async def test_a_stop_at_once_is_not_overtaken_by_the_start(hypervisor: Hypervisor, image, running):
    made = await hypervisor.create(GuestSpec(name="brief", image_id=image.id, memory_mib=96))
    await hypervisor.stop(made.id, within_s=0)
    at_rest = await hypervisor.wait(made.id, frozenset({State.STOPPED}), BOOT_S)
    assert at_rest.pid is None
    await hypervisor.start(made.id)
    await hypervisor.wait(made.id, frozenset({State.RUNNING}), BOOT_S)
    assert len(running(made.id)) == 1
    await hypervisor.destroy(made.id)
