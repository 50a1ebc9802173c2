"""Which blocks of addresses a network may have, and which addresses of it are given out."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimbi.qemu.errors import Capacity, Conflict, Invalid
from nimbi.qemu.network.blocks import (
    DEFAULT,
    PRIVATE,
    Block,
    check_apart,
    check_network,
    check_subnet,
    free_address,
    free_network,
    of_host,
    parsed,
)

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000530A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
ADDRESSES = """\
Local:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "route").write_text(ROUTES)
    (tmp_path / "fib_trie").write_text(ADDRESSES)
    return tmp_path


def test_routes_and_addresses_of_the_host_are_known(proc: Path) -> None:
    found = {str(block) for block in of_host(proc)}
    assert found == {"10.83.0.0/16", "192.0.2.0/24", "192.0.2.2/32"}


def test_this_very_host_can_be_asked() -> None:
    assert all(block.prefixlen for block in of_host())


def test_a_network_gets_the_next_block_when_the_host_has_the_usual_one(proc: Path) -> None:
    assert free_network(of_host(proc)) == Block("10.84.0.0/16")


def test_when_ten_is_taken_another_private_range_is_used() -> None:
    assert free_network([PRIVATE[0]]).subnet_of(PRIVATE[1])
    assert free_network(PRIVATE[:2]).subnet_of(PRIVATE[2])
    with pytest.raises(Capacity):
        free_network(PRIVATE)


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "fd00::/64", "10.0.0.0/255.0.0.0", " 10.0.0.0/8"],
)
def test_what_is_no_plain_block_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    ["192.0.2.0/24", "127.0.0.0/16", "169.254.0.0/16", "10.0.0.0/8", "10.0.0.0/29", "0.0.0.0/0"],
)
def test_a_network_is_private_and_of_a_fair_size(text: str) -> None:
    with pytest.raises(Invalid):
        check_network(parsed(text))


def test_a_subnet_lies_within_its_network() -> None:
    check_subnet(Block("10.83.4.0/24"), DEFAULT)
    with pytest.raises(Invalid):
        check_subnet(Block("10.84.0.0/24"), DEFAULT)
    with pytest.raises(Invalid):
        check_subnet(Block("10.82.0.0/15"), DEFAULT)


def test_blocks_that_overlap_are_a_conflict_that_names_both() -> None:
    with pytest.raises(Conflict, match=r"10\.83\.0\.0/24 overlaps 10\.83\.0\.0/16, somebody's"):
        check_apart(Block("10.83.0.0/24"), [Block("10.1.0.0/16"), DEFAULT], "somebody's")


@settings(deadline=None)
@given(prefix=st.integers(24, 30), data=st.data())
def test_addresses_are_given_out_until_none_is_left_and_none_is_reserved(
    prefix: int, data: st.DataObject
) -> None:
    block = Block(f"10.83.0.0/{prefix}")
    hosts = [str(host) for host in block.hosts()][1:]
    taken = data.draw(st.sets(st.sampled_from(hosts))) if hosts else set()
    found = free_address(block, taken)
    assert found == next((host for host in hosts if host not in taken), None)
