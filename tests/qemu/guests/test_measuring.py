"""What guests use: measured from a real one, and what follows from several measurements."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nimbi.qemu import Hypervisor, NotFound, State
from nimbi.qemu.guests import measuring
from nimbi.qemu.guests.measuring import EVERY_S, KEPT, Measured, Used, read, running, used
from nimbi.qemu.host.process import identify

BOOT_S = 120

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Measured(
    run=7,
    started_at=START,
    at=START + timedelta(seconds=10),
    cpus=2,
    cpu_s=5.0,
    memory_bytes=1000,
    guest_memory_bytes=2000,
    disk={"read_bytes": 100, "write_bytes": 10, "reads": 4, "writes": 1},
    network={"in_bytes": 50, "out_bytes": 60, "in_packets": 5, "out_packets": 6},
)


def later(one: Measured, seconds: float, **changes: object) -> Measured:
    return replace(one, at=one.at + timedelta(seconds=seconds), **changes)


def test_the_first_measurement_tells_what_was_used_since_the_start() -> None:
    (first,) = used([ONE])
    assert first == Used(
        at=ONE.at, cpu_percent=25.0, memory_bytes=1000, disk=ONE.disk, network=ONE.network
    )


def test_each_further_one_tells_what_was_used_since_the_one_before() -> None:
    disk = {name: count + 1 for name, count in ONE.disk.items()}
    _, second = used([ONE, later(ONE, 10, cpu_s=15.0, disk=disk)])
    assert second.cpu_percent == 50.0
    assert set(second.disk.values()) == {1}
    assert second.network == dict.fromkeys(ONE.network or {}, 0)


def test_another_run_begins_anew() -> None:
    again = later(ONE, 100, run=8, cpu_s=1.0, started_at=ONE.at + timedelta(seconds=90))
    _, second = used([ONE, again])
    assert (second.cpu_percent, second.disk) == (5.0, ONE.disk)


def test_a_disk_that_was_taken_out_gives_nothing_back() -> None:
    _, second = used([ONE, later(ONE, 10, disk=dict.fromkeys(ONE.disk, 0), cpu_s=4.0)])
    assert (set(second.disk.values()), second.cpu_percent) == ({0}, 0.0)


def test_a_guest_whose_network_nobody_counts_has_no_numbers_of_it() -> None:
    assert used([replace(ONE, network=None)])[0].network is None


def test_a_full_file_has_forgotten_the_start() -> None:
    kept = [later(ONE, 60 * n, cpu_s=5.0 + n) for n in range(KEPT)]
    assert len(used(kept)) == KEPT - 1
    assert used([]) == []


def test_what_is_kept_is_bounded_and_what_came_in_between_is_replaced(tmp_path: Path) -> None:
    for n in range(KEPT + 5):
        measuring._keep(tmp_path, later(ONE, n * EVERY_S))
    assert [one.at for one in read(tmp_path)] == [
        later(ONE, n * EVERY_S).at for n in range(5, KEPT + 5)
    ]
    last = later(ONE, (KEPT + 4) * EVERY_S)
    for seconds in (10, 20, 59):
        measuring._keep(tmp_path, later(last, seconds))
    times = [one.at for one in read(tmp_path)]
    assert (len(times), times[-2:]) == (KEPT, [last.at, later(last, 59).at])


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"run": 1}]', b"null"])
def test_a_damaged_file_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / measuring.FILE).write_bytes(content)
    assert read(tmp_path) == []


def test_the_numbers_of_a_process_are_those_of_the_machine() -> None:
    told = measuring._of_process(os.getpid())
    assert 0 < told["cpu_s"] < sum(os.times()[:2]) + 1
    assert told["memory_bytes"] > 2**20
    assert told["network"] is None
    assert identify(os.getpid()) is not None


async def awake(hypervisor: Hypervisor, id: str) -> None:
    """Have the shared guest run, whatever the tests before have left it in."""
    await hypervisor.start(id)
    await hypervisor.wait(id, frozenset({State.RUNNING}), BOOT_S)


@pytest.mark.guest
async def test_a_guest_that_runs_has_used_something(hypervisor, shared, monkeypatch) -> None:
    monkeypatch.setattr(measuring, "FRESH_S", 0)
    await awake(hypervisor, shared.id)
    kept = await hypervisor.measured(shared.id)
    last = kept[-1]
    assert last.cpu_s > 0.5
    assert 30 * 2**20 < last.memory_bytes < 2**30
    assert last.guest_memory_bytes == 96 * 2**20
    assert last.disk["read_bytes"] > 2**20
    assert last.disk["reads"] > 0
    assert used(kept)[-1].cpu_percent >= 0
    monkeypatch.setattr(measuring, "FRESH_S", 3600)
    assert (await hypervisor.measured(shared.id))[-1] == last
    assert shared.id in [record.id for record, _ in running(shared.root)]


@pytest.mark.guest
async def test_what_a_guest_sends_is_counted_where_it_has_a_card_of_the_host(
    hypervisor, shared, monkeypatch
) -> None:
    monkeypatch.setattr(measuring, "FRESH_S", 0)
    await awake(hypervisor, shared.id)
    network = (await hypervisor.measured(shared.id))[-1].network
    if not hypervisor.network.fabric:
        assert network is None
        return
    assert network is not None
    assert all(count > 0 for count in network.values()), network


async def test_an_unknown_guest_has_no_measurements(hypervisor) -> None:
    with pytest.raises(NotFound):
        await hypervisor.measured("i-0123456789abcdef")
