"""What killed servers leave of networks is found and removed, and what guests use stays."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from nimbi.qemu.balancers.configuration import configuration
from nimbi.qemu.balancers.haproxy import HAProxy
from nimbi.qemu.errors import Missing
from nimbi.qemu.guests.record import Wanted, load, save
from nimbi.qemu.host.process import identify
from nimbi.qemu.host.programs import require
from nimbi.qemu.network import firewalls, interfaces, networks, planning
from nimbi.qemu.network.fabric import Fabric
from nimbi.qemu.network.plan import FIRST_SLOT, Card, Plan, PlannedNetwork, Publication, mac
from nimbi.qemu.network.records import Records, RecordStore, Running
from nimbi.qemu.network.rungs import Rung, choose
from nimbi.qemu.state.layout import prepare
from nimbi.qemu.waste import Waste, collect, find

GUEST = "i-628b49d96dcde97a"
VERSION_1 = Path(__file__).parents[1] / "state" / "version_1" / "guests" / GUEST

PLAN = Plan(
    networks=(PlannedNetwork(id="net-0000000000000001", subnets=(IPv4Network("10.84.0.0/24"),)),),
    cards=(
        Card(
            guest_id="i-0000000000000001",
            slot=FIRST_SLOT,
            network_id="net-0000000000000001",
            mac=mac("i-0000000000000001"),
            ip=IPv4Address("10.84.0.2"),
        ),
    ),
)
"""One network with one guest, of which no record knows."""


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    root = tmp_path / "local"
    await prepare(root)
    ladder = await choose(tmp_path / "ladder", "auto")
    if ladder.rung is Rung.USER:
        pytest.skip(f"no networks here: {ladder.refusals}")
    made = Fabric(root, ladder.rung)
    yield made
    await made.down()


def with_guest(root: Path) -> Plan:
    """Write down a guest that runs, with a card and a published port, and return its plan."""
    at = datetime.now(UTC)
    based = firewalls.with_default(networks.with_default(Records(), (), at), at)
    joined, _ = interfaces.join(based, GUEST, (), at)
    running = Running(id=GUEST, host_name="web", ports={80: free_port()}, outgoing=False)
    records = joined.having(running)
    RecordStore(root / "network" / "records").write(Records(), records)
    directory = root / "guests" / GUEST
    shutil.copytree(VERSION_1, directory)
    record = load(directory)
    assert record is not None
    # Any process that lives will do: this is the guest's QEMU.
    save(directory, replace(record, wanted=Wanted.RUNNING, process=identify(os.getpid())))
    return planning.of_fabric(records)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def root_of(tmp_path: Path) -> Path:
    return tmp_path / "local"


def programs(found: list[Waste]) -> set[str]:
    return {item.what.partition(" ")[0] for item in found if item.kind == "process"}


async def test_programs_of_networks_that_no_guest_needs_are_ended(
    fabric: Fabric, tmp_path: Path
) -> None:
    root = root_of(tmp_path)
    await fabric.apply(PLAN)
    assert {"gate", "dnsmasq", "holder"} <= programs(await find(root))
    assert all(gone for _, gone in await collect(root))
    status = await fabric.status()
    assert status.namespace is None
    assert not any(status.pids.values())


async def test_looking_at_networks_ends_nothing(fabric: Fabric, tmp_path: Path) -> None:
    await fabric.apply(PLAN)
    before = (await fabric.status()).pids
    await find(root_of(tmp_path))
    assert (await fabric.status()).pids == before


async def test_two_collections_at_once_end_a_network_together(
    fabric: Fabric, tmp_path: Path
) -> None:
    root = root_of(tmp_path)
    await fabric.apply(PLAN)
    await asyncio.gather(collect(root), collect(root))
    assert await find(root) == []


async def test_the_network_of_a_guest_that_runs_stays(fabric: Fabric, tmp_path: Path) -> None:
    root = root_of(tmp_path)
    await fabric.apply(with_guest(root))
    before = (await fabric.status()).pids
    assert await collect(root) == []
    assert (await fabric.status()).pids == before
    assert before["gate"]


async def test_cards_and_ports_of_guests_that_are_gone_are_removed_beside_others(
    fabric: Fabric, tmp_path: Path
) -> None:
    root = root_of(tmp_path)
    plan = with_guest(root)
    stray = Publication(
        address=IPv4Address("127.0.0.1"), port=free_port(), to=PLAN.cards[0].ip, to_port=80
    )
    await fabric.apply(
        replace(
            plan,
            networks=(*plan.networks, *PLAN.networks),
            cards=(*plan.cards, *PLAN.cards),
            publications=(*plan.publications, stray),
        )
    )
    found = await find(root)
    assert {item.kind for item in found} == {"device", "port"}
    assert {i.what for i in found} >= {PLAN.cards[0].tap, PLAN.networks[0].bridge}
    assert all(gone for _, gone in await collect(root))
    assert await find(root) == []
    with socket.socket() as made:
        assert made.connect_ex(("127.0.0.1", stray.port)) != 0
    assert (await fabric.status()).gate["listeners"] == len(plan.publications)


async def test_a_haproxy_without_load_balancers_is_ended(tmp_path: Path) -> None:
    root = root_of(tmp_path)
    await prepare(root)
    try:
        require(("haproxy",))
    except Missing as error:
        pytest.skip(str(error))
    balancing = HAProxy(root / "balancers")
    try:
        await balancing.apply(configuration((), drop_root=False), place="host")
        assert programs(await find(root)) == {"haproxy"}
        assert all(gone for _, gone in await collect(root))
        assert await find(root) == []
    finally:
        await balancing.end()
