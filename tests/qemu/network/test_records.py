"""The directory of records: whole things only, whatever was cut short."""

import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nimbi.qemu.balancers.balancers import add_balancer, register
from nimbi.qemu.errors import Conflict, Invalid, NotFound
from nimbi.qemu.network import addresses, firewalls, interfaces, networks
from nimbi.qemu.network.records import (
    KINDS,
    Address,
    NetworkRecord,
    Records,
    RecordStore,
    Running,
    identity,
)

AT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
GUEST = "i-0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path)


def everything() -> Records:
    """Return records with something of each kind."""
    records = firewalls.with_default(networks.with_default(Records(), (), AT), AT)
    records, other = networks.add_network(
        records, name="☃ net", block="10.77.0.0/16", token="t", host=(), at=AT
    )
    records, subnet = networks.add_subnet(
        records, network_id=other.id, block="10.77.1.0/24", name=None, token=None, at=AT
    )
    records, _ = interfaces.join(records, GUEST, (), AT)
    records, _ = interfaces.add_card(
        records,
        guest_id=GUEST,
        network_id=None,
        subnet_id=subnet.id,
        name="card",
        token=None,
        at=AT,
    )
    records, address = addresses.add_address(records, addresses.STATIC, None, AT)
    records = addresses.associate(records, address.id, GUEST)
    records, balancer = add_balancer(
        records, addresses.BALANCED, name="lb", listeners=[("http", 80, 8080)], token=None, at=AT
    )
    records = register(records, balancer.id, GUEST)
    return records.having(
        Running(id=GUEST, host_name="a", ports={80: 20000}, outgoing=True, metadata="a/b")
    )


def test_what_is_written_is_read(store: RecordStore) -> None:
    records = everything()
    assert all(getattr(records, place) for place in KINDS)
    store.write(Records(), records)
    assert store.read() == records


def test_what_goes_is_gone_and_the_rest_stays(store: RecordStore, tmp_path: Path) -> None:
    records = everything()
    store.write(Records(), records)
    left = interfaces.forget_guest(records, GUEST)
    store.write(records, left)
    assert store.read() == left
    assert not any(GUEST in path.read_text() for path in tmp_path.rglob("*.json"))


def test_nobody_else_can_read_them(store: RecordStore, tmp_path: Path) -> None:
    store.write(Records(), everything())
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_what_a_cut_change_has_left_is_left_out_and_can_be_swept(
    store: RecordStore, tmp_path: Path
) -> None:
    records = everything()
    store.write(Records(), records)
    network = next(n for n in records.networks.values() if n.id != networks.DEFAULT_ID)
    (tmp_path / "networks" / f"{network.id}.json").unlink()
    found = store.read()
    assert found.subnets == {}
    assert len(found.cards) == 1
    store.write(store.read(raw=True), found)
    assert store.read(raw=True) == found


def test_other_files_are_not_looked_at(store: RecordStore, tmp_path: Path) -> None:
    (tmp_path / "networks" / ".tmp-abc").write_text("half")
    (tmp_path / "networks" / "net-0.json.bak").write_text("{")
    assert store.read() == Records()


def test_fields_of_a_newer_program_are_left_out(store: RecordStore, tmp_path: Path) -> None:
    records, _ = addresses.add_address(Records(), addresses.STATIC, None, AT)
    store.write(Records(), records)
    (file,) = (tmp_path / "addresses").iterdir()
    file.write_text(file.read_text().replace("{", '{"colour": "red",', 1))
    assert store.read() == records


def test_a_token_makes_one_thing_and_no_other() -> None:
    records, one = networks.add_network(Records(), name="a", block=None, token="t", host=(), at=AT)
    again = networks.add_network(records, name="a", block=None, token="t", host=(), at=AT)
    assert again == (records, one)
    with pytest.raises(Conflict):
        networks.add_network(records, name="b", block=None, token="t", host=(), at=AT)
    with pytest.raises(Invalid):
        identity(NetworkRecord, "")
    with pytest.raises(Invalid):
        identity(NetworkRecord, "x" * 256)


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(NotFound, match="there is no address 'adr-1'"):
        Records().find(Address, "adr-1")


def test_records_are_never_changed_themselves() -> None:
    records = everything()
    (address,) = records.addresses.values()
    records.having(replace(address, guest_id=None))
    records.without(address)
    assert records == everything_but_ids(records)


def everything_but_ids(records: Records) -> Records:
    return Records(**{place: dict(getattr(records, place)) for place in KINDS})
