"""Changes that can't be carried out, or are cut short: records and machine agree in the end."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from nimbi.qemu.errors import Conflict, Failed, NotFound, Unsupported
from nimbi.qemu.guests.record import Record, Wanted, now, save
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host.process import identify
from nimbi.qemu.network import addresses, firewalls
from nimbi.qemu.network.interfaces import first_card_id
from nimbi.qemu.network.ledger import Inside
from nimbi.qemu.network.network import Network
from nimbi.qemu.network.plan import Applied, Plan
from nimbi.qemu.network.records import RecordStore, digits


class Machine:
    """What a carrier would change: it takes plans, refuses, or fails, as a test tells it."""

    def __init__(self, *, fabric: bool = True) -> None:
        self.fabric = fabric
        self.plan = Plan()
        self.times = 0
        self.fails = False
        self.refuses: set[int] = set()
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def apply(self, plan: Plan) -> Applied:
        if not self.gate.is_set():
            self.asked.set()
        await self.gate.wait()
        if self.fails:
            raise Failed("the machine does not want to")
        self.times += 1
        self.plan = plan
        refused = [p for p in plan.publications if p.port in self.refuses]
        return Applied(refused=dict.fromkeys(refused, "it is in use"))

    async def inside(self, *, dropping: bool = False) -> Inside:
        return Inside(place="here")

    def ports(self) -> set[int]:
        return {publication.port for publication in self.plan.publications}


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def guests(tmp_path: Path) -> GuestStore:
    return GuestStore(tmp_path)


@pytest.fixture
async def network(tmp_path: Path, machine: Machine, guests: GuestStore) -> AsyncIterator[Network]:
    network = Network(tmp_path, guests)
    await network.open(machine)
    yield network
    await network.close()


def a_guest(guests: GuestStore, number: int = 1, **changes: object) -> Record:
    """Write down a guest that is about to boot, without any QEMU."""
    fields: dict[str, object] = {
        "id": f"i-{digits(str(number))}",
        "name": "x",
        "image_id": "img",
        "cpus": 1,
        "memory_mib": 96,
        "disk_gib": 1,
        "host_name": "x",
        "ports": {22: 20000 + number},
        "outgoing": True,
        "labels": {},
        "spec_digest": "",
        "machine": "pc",
        "created_at": now(),
        **changes,
    }
    record = Record(**fields)  # type: ignore[arg-type]
    (guests.root / record.id).mkdir(exist_ok=True)
    save(guests.root / record.id, record)
    return record


async def test_a_change_that_cannot_be_carried_out_is_taken_back(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    await network.gear(a_guest(guests))
    before, plan = await network.records(), machine.plan
    machine.fails = True
    with pytest.raises(Failed):
        await network.create_rule(
            firewalls.DEFAULT_ID,
            protocol="tcp",
            first=443,
            last=443,
            sources=("0.0.0.0/0",),
            token=None,
        )
    assert await network.records() == before
    machine.fails = False
    await network.keep_house()
    assert machine.plan == plan


async def test_a_rule_is_in_force_when_it_is_told(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    await network.gear(a_guest(guests))
    told = await network.create_rule(
        firewalls.DEFAULT_ID,
        protocol="tcp",
        first=443,
        last=443,
        sources=("0.0.0.0/0",),
        token=None,
    )
    (wall,) = machine.plan.firewalls
    assert wall.openings[-1].port_from == 443
    await network.destroy_rule(firewalls.DEFAULT_ID, told.rules[-1].id)
    (wall,) = machine.plan.firewalls
    assert 443 not in {opening.port_from for opening in wall.openings}


async def test_what_changes_no_plan_touches_no_machine(network: Network, machine: Machine) -> None:
    times = machine.times
    made = await network.create_network(name=None, block=None, token=None)
    await network.create_firewall(name="a", description="", token=None)
    await network.destroy_network(made.id)
    assert machine.times == times


async def test_a_record_that_is_ahead_is_carried_out_later(
    network: Network, machine: Machine, guests: GuestStore, tmp_path: Path
) -> None:
    """As if killed right after a change was written down."""
    record = a_guest(guests)
    await network.gear(record)
    held = await network.create_address(None)
    store = RecordStore(tmp_path / "network" / "records")
    old = store.read()
    store.write(old, addresses.associate(old, held.id, record.id))
    assert 22 not in machine.ports()
    await network.keep_house()
    assert 22 in machine.ports()


async def test_a_machine_that_is_ahead_is_brought_back_by_the_next_server(
    network: Network, machine: Machine, guests: GuestStore, tmp_path: Path
) -> None:
    await network.gear(a_guest(guests))
    plan, machine.plan = machine.plan, Plan()
    again = Network(tmp_path, guests)
    await again.open(machine)
    assert machine.plan == plan


async def test_a_port_that_is_taken_is_a_conflict_and_nothing_is_changed(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    record = a_guest(guests)
    await network.gear(record)
    held = await network.create_address(None)
    machine.refuses = {22}
    with pytest.raises(Conflict, match="in use"):
        await network.associate(held.id, record.id)
    assert (await network.records()).addresses[held.id].guest_id is None
    assert 22 not in machine.ports()


async def test_a_guest_whose_port_is_taken_does_not_start_and_others_do(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    one, other = a_guest(guests, 1), a_guest(guests, 2)
    machine.refuses = {20001}
    with pytest.raises(Conflict):
        await network.gear(one)
    await network.gear(other)
    assert {card.guest_id for card in machine.plan.cards} == {other.id}


async def test_a_cancelled_change_is_brought_to_its_end(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    record = a_guest(guests)
    await network.gear(record)
    held = await network.create_address(None)
    machine.gate.clear()
    asked = asyncio.create_task(network.associate(held.id, record.id))
    await machine.asked.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    machine.gate.set()
    await network.ledger.close()
    assert 22 in machine.ports()


async def test_a_guest_that_ended_lets_go_of_everything_but_its_address(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    record = a_guest(guests)
    await network.gear(record)
    ip = (await network.records()).cards[first_card_id(record.id)].ip
    a_guest(guests, wanted=Wanted.STOPPED)
    await network.ended(record.id)
    assert machine.plan == Plan()
    await network.gear(a_guest(guests))
    assert str(machine.plan.cards[0].ip) == ip


async def test_news_of_an_old_end_does_not_harm_a_guest_that_starts_again(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    record = a_guest(guests)
    await network.gear(record)
    await network.ended(record.id)
    assert len(machine.plan.cards) == 1


async def test_a_forgotten_guest_leaves_nothing(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    record = a_guest(guests)
    await network.gear(record)
    held = await network.create_address(None)
    await network.associate(held.id, record.id)
    for _ in range(2):
        await network.forget(record.id)
    records = await network.records()
    assert record.id not in repr(records)
    assert machine.plan == Plan()


async def test_what_a_guest_was_given_that_was_never_made_is_released(
    network: Network, guests: GuestStore
) -> None:
    id = f"i-{digits('never')}"
    async with guests.creating(id):
        await network.join(id, ())
        await network.keep_house()
        assert first_card_id(id) in (await network.records()).cards
    await network.keep_house()
    assert (await network.records()).cards == {}


async def test_a_guest_that_died_unseen_is_taken_off_the_machine(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    done = python("input()")
    record = a_guest(guests, process=identify(done.pid))
    await network.gear(record)
    await network.keep_house()
    assert len(machine.plan.cards) == 1
    done.communicate()
    await network.keep_house()
    assert machine.plan == Plan()
    assert first_card_id(record.id) in (await network.records()).cards


async def test_a_guest_is_behind_the_firewalls_it_asked_for(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    wall = await network.create_firewall(name="a", description="", token=None)
    record = a_guest(guests)
    await network.join(record.id, (wall.id,))
    await network.gear(record)
    assert machine.plan.cards[0].firewall_ids == (wall.id,)
    with pytest.raises(Conflict):
        await network.destroy_firewall(wall.id)
    with pytest.raises(NotFound):
        await network.join(f"i-{digits('2')}", ("fw-1",))


async def test_the_first_card_stays(network: Network, guests: GuestStore) -> None:
    record = a_guest(guests)
    await network.join(record.id, ())
    with pytest.raises(Conflict):
        await network.destroy_interface(first_card_id(record.id))


async def test_cards_of_a_guest_that_does_not_run_come_with_its_next_start(
    network: Network, machine: Machine, guests: GuestStore
) -> None:
    record = a_guest(guests, wanted=Wanted.STOPPED)
    await network.join(record.id, ())
    other = await network.create_network(name=None, block=None, token=None)
    card = await network.create_interface(
        guest_id=record.id, network_id=other.id, subnet_id=None, name=None, token=None
    )
    gone = await network.create_interface(
        guest_id=record.id, network_id=other.id, subnet_id=None, name=None, token=None
    )
    await network.destroy_interface(gone.id)
    gear = await network.gear(a_guest(guests))
    assert [c.slot for c in machine.plan.cards if c.guest_id == record.id].count(card.slot) == 1
    assert sum("virtio-net-pci" in str(word) for word in gear.arguments) == 2
    assert not (await network.records()).cards[card.id].joining


async def test_without_a_fabric_there_are_addresses_and_nothing_else(
    tmp_path: Path, guests: GuestStore
) -> None:
    machine = Machine(fabric=False)
    network = Network(tmp_path, guests)
    await network.open(machine)
    record = a_guest(guests)
    await network.join(record.id, ())
    gear = await network.gear(replace(record, outgoing=False))
    assert gear.prefix == ()
    assert "user,id=net,ipv6=off,restrict=on" in str(gear.arguments)
    held = await network.create_address(None)
    await network.associate(held.id, record.id)
    (publication,) = machine.plan.publications
    assert (str(publication.address), publication.port, publication.to_port) == (
        held.ip,
        22,
        20001,
    )
    assert (await network.records()).networks == {}
    for refused in (
        network.create_network(name=None, block=None, token=None),
        network.destroy_subnet("sub-1"),
        network.create_firewall(name="a", description="", token=None),
        network.join(record.id, ("fw-1",)),
    ):
        with pytest.raises(Unsupported):
            await refused


def python(program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE)


JOINERS = """
import asyncio, sys
from pathlib import Path
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.network.network import Network
from nimbi.qemu.network.records import digits

class Nothing:
    fabric = True
    async def apply(self, plan):
        raise AssertionError("nothing runs")

async def main(root, who):
    network = Network(root, GuestStore(root))
    network.ledger.use(Nothing())
    await asyncio.gather(*(network.join(f"i-{digits(f'{who} {n}')}", ()) for n in range(10)))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def test_many_processes_at_once_give_no_address_out_twice(tmp_path: Path) -> None:
    started = [python(JOINERS, tmp_path, str(who)) for who in range(3)]
    for process in started:
        await asyncio.to_thread(process.communicate)
    assert [process.returncode for process in started] == [0, 0, 0]
    cards = RecordStore(tmp_path / "network" / "records").read().cards.values()
    assert len({card.ip for card in cards}) == len(cards) == 30
