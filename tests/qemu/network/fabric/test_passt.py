"""The rung `user`: guests reach the outside by passt, and never this machine's loopback."""

import json
import shutil
from pathlib import Path

import pytest
from tests.machines import stock
from tests.qemu.network.fabric import lab

from nimbi.qemu import GuestSpec, Image, Options, State, open_hypervisor
from nimbi.qemu.guests.keys import generate
from nimbi.qemu.network import daemons
from nimbi.qemu.network.passt import LOG, NETWORK, PID
from nimbi.qemu.network.passt_trial import RECORD, refusal

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(shutil.which("passt") is None, reason="passt is missing"),
]
AT_REST = frozenset({State.RUNNING, State.ERROR})
THIS_MACHINE = ("10.0.2.2", "10.0.2.3", "127.0.0.1", lab.OUTSIDE)


@pytest.fixture
def place(tmp_path: Path, root: Path, ending) -> Path:
    stock(tmp_path, root)
    yield tmp_path
    ending(tmp_path)


async def test_a_guest_of_its_own_network_reaches_the_world_and_not_this_machine(
    place: Path, image: Image, world: lab.World
):
    if why := await refusal(place, NETWORK):
        pytest.skip(why)
    public, private = generate("ed25519")
    spec = GuestSpec(name="alone", image_id=image.id, memory_mib=96, public_keys=(public,))
    async with open_hypervisor(place, Options(network="user")) as hypervisor:
        guest = await hypervisor.create(spec)
        guest = await hypervisor.wait(guest.id, AT_REST, lab.BOOT_S)
        assert guest.state is State.RUNNING, guest.reason

        async def said(line: str) -> str:
            return (await hypervisor.run(guest.id, line, private)).out.decode()

        with world.greeting(lab.OUTSIDE, 7101, outside=True):
            assert await said(f"nc -w 3 {lab.OUTSIDE} 7101 </dev/null") == f"hello {lab.HOST}"
        with world.greeting("127.0.0.1", 7102):
            tries = "; ".join(f"nc -w 1 {address} 7102 </dev/null" for address in THIS_MACHINE)
            assert "hello" not in await said(tries)
        directory = place / "guests" / guest.id
        mark = str(directory / PID)
        assert len(daemons.found(mark)) == 1
        await hypervisor.stop(guest.id)
        await hypervisor.wait(guest.id, frozenset({State.STOPPED}), lab.BOOT_S)
        assert daemons.found(mark) == []
        await hypervisor.start(guest.id)
        assert (await hypervisor.wait(guest.id, AT_REST, lab.BOOT_S)).state is State.RUNNING
        assert (directory / LOG).exists()
        await hypervisor.destroy(guest.id)
        assert daemons.found(mark) == []


async def test_where_passt_is_refused_a_guest_reaches_nothing(
    place: Path, image: Image, world: lab.World
):
    # As the trial would have written it down of a passt that leaks.
    await refusal(place, NETWORK)
    record = place / "network" / RECORD
    kept = json.loads(record.read_bytes())
    record.write_text(json.dumps({**kept, "refusal": "it leaks"}))
    assert await refusal(place, NETWORK) == "it leaks"
    public, private = generate("ed25519")
    spec = GuestSpec(name="alone", image_id=image.id, memory_mib=96, public_keys=(public,))
    async with open_hypervisor(place, Options(network="user")) as hypervisor:
        guest = await hypervisor.create(spec)
        assert (await hypervisor.wait(guest.id, AT_REST, lab.BOOT_S)).state is State.RUNNING
        assert daemons.found(str(place / "guests" / guest.id / PID)) == []
        with world.greeting(lab.OUTSIDE, 7104, outside=True), world.greeting("127.0.0.1", 7104):
            tries = (f"nc -w 1 {address} 7104 </dev/null" for address in THIS_MACHINE)
            said = await hypervisor.run(guest.id, "; ".join(tries), private)
        assert b"hello" not in said.out
        await hypervisor.destroy(guest.id)


async def test_what_a_passt_is_found_to_be_holds_for_these_options_only(
    place: Path, world: lab.World
):
    found = await refusal(place, NETWORK)
    assert await refusal(place, NETWORK) == found
    assert "does not work" in await refusal(place, ("--no-such-option",))


async def test_without_outgoing_no_passt_is_needed(place: Path, image: Image, world: lab.World):
    public, private = generate("ed25519")
    spec = GuestSpec(
        name="shut",
        image_id=image.id,
        memory_mib=96,
        public_keys=(public,),
        outgoing=False,
    )
    async with open_hypervisor(place, Options(network="user")) as hypervisor:
        guest = await hypervisor.create(spec)
        assert (await hypervisor.wait(guest.id, AT_REST, lab.BOOT_S)).state is State.RUNNING
        assert daemons.found(str(place / "guests" / guest.id / PID)) == []
        with (
            world.greeting(lab.OUTSIDE, 7103, outside=True),
            world.greeting("127.0.0.1", 7103),
        ):
            tries = (f"nc -w 1 {address} 7103 </dev/null" for address in THIS_MACHINE)
            said = await hypervisor.run(guest.id, "; ".join(tries), private)
        assert b"hello" not in said.out
        await hypervisor.destroy(guest.id)
