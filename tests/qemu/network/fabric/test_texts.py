"""What is made of a plan: texts in which nothing of a user's becomes syntax."""

import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimbi.qemu.errors import Conflict, Invalid, QemuError
from nimbi.qemu.network import dnsmasq, nft
from nimbi.qemu.network.dnsmasq import Kind
from nimbi.qemu.network.links import script
from nimbi.qemu.network.plan import (
    FIRST_SLOT,
    LATER_SLOTS,
    LOCAL,
    Card,
    Opening,
    Plan,
    PlannedFirewall,
    PlannedNetwork,
    Protocol,
    Publication,
    check,
    mac,
)

ports = st.integers(1, 65535)
blocks = st.builds(
    lambda bits, length: IPv4Network((bits, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
openings = st.builds(
    lambda protocol, ends, blocks, ids, icmp: Opening(
        protocol=protocol,
        port_from=min(ends),
        port_to=max(ends),
        blocks=tuple(blocks),
        firewall_ids=tuple(ids),
        icmp_type=icmp[0],
        icmp_code=icmp[1],
    ),
    st.sampled_from(Protocol),
    st.tuples(ports, ports),
    st.lists(blocks, max_size=4),
    st.sets(st.sampled_from(("fw-0", "fw-1"))),
    st.tuples(st.none() | st.integers(0, 255), st.none() | st.integers(0, 255)),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Give any plan of two networks and two firewalls, with up to six cards."""
    networks = (
        PlannedNetwork(id="net-0", subnets=(IPv4Network("10.83.0.0/16"),)),
        PlannedNetwork(
            id="net-1", subnets=(IPv4Network("10.84.0.0/24"), IPv4Network("10.84.1.0/29"))
        ),
    )
    firewalls = tuple(
        PlannedFirewall(id=f"fw-{n}", openings=tuple(draw(st.lists(openings, max_size=3))))
        for n in (0, 1)
    )
    cards = tuple(
        Card(
            guest_id=f"i-{number}",
            slot=draw(st.sampled_from((FIRST_SLOT, *LATER_SLOTS))),
            network_id=f"net-{number % 2}",
            mac=mac(str(number)),
            ip=IPv4Address("10.84.0.10" if number % 2 else "10.83.0.10") + number,
            names=draw(st.sampled_from(((), ("web",), ("web", "www-1")))),
            firewall_ids=tuple(draw(st.sets(st.sampled_from(("fw-0", "fw-1"))))),
            outgoing=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 6)))
    )
    return Plan(networks=networks, firewalls=firewalls, cards=cards)


@given(plans(), st.lists(st.ip_addresses(v=4).map(str), max_size=3))
@settings(max_examples=40, deadline=None)
def test_nftables_takes_the_rules_of_any_plan(plan: Plan, own: list[str]):
    check(plan)
    # Checked only: nothing is changed, and in a place where nothing could be.
    command = ["unshare", "--user", "--map-root-user", "--net", "nft", "-c", "-f", "-"]
    said = subprocess.run(command, input=nft.ruleset(plan, own).encode(), capture_output=True)
    assert said.returncode == 0, said.stderr.decode()


@given(plans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_dnsmasq_takes_the_configuration_of_any_network(plan: Plan, outside: bool):
    for network in plan.networks:
        for kind in Kind:
            text = dnsmasq.config(plan, network, Path("/dev/null"), kind, outside=outside)
            command = ["dnsmasq", "--test", "--conf-file=/dev/stdin"]
            said = subprocess.run(command, input=text.encode(), capture_output=True)
            assert said.returncode == 0, said.stderr.decode()


HOSTILE = st.text(max_size=20).filter(
    lambda t: not t.isascii() or not t.isalnum()
) | st.sampled_from(
    ("a\n", "a b", "a,b", "a;flush ruleset", "../x", "-a", "a-", "A", "", '"', "a\nserver=1.2.3.4")
)


@given(HOSTILE)
def test_what_is_no_name_is_no_part_of_a_plan(text: str):
    network = PlannedNetwork(id="net-0", subnets=(IPv4Network("10.83.0.0/16"),))
    good = Card(
        guest_id="i-1",
        slot=FIRST_SLOT,
        network_id="net-0",
        mac=mac("1"),
        ip=IPv4Address("10.83.0.9"),
    )
    values = {field: getattr(good, field) for field in good.__dataclass_fields__}
    bad = [
        Plan(networks=(network,), cards=(Card(**{**values, "names": (text,)}),)),
        Plan(networks=(network,), cards=(Card(**{**values, "mac": text}),)),
        Plan(networks=(PlannedNetwork(id="n", subnets=network.subnets, domain=text),)),
    ]
    for plan in bad:
        try:
            check(plan)
        except QemuError:
            continue
        # What is let through is a name that is good for every place where it comes to stand.
        assert all(part.isascii() and part.replace("-", "").isalnum() for part in text.split("."))


def test_names_of_devices_fit_and_do_not_meet():
    cards = [
        Card(guest_id=f"i-{n:016x}", slot=s, network_id="n", mac=mac("1"), ip=LOCAL)
        for n in range(500)
        for s in (FIRST_SLOT, *LATER_SLOTS)
    ]
    bridges = [PlannedNetwork(id=f"net-{n:016x}", subnets=()).bridge for n in range(500)]
    names = [*(card.tap for card in cards), *bridges]
    assert max(map(len, names)) <= 15
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("127.0.0.0/24", Invalid),
        ("169.254.169.0/24", Invalid),
        ("224.0.0.0/24", Invalid),
        ("10.0.0.0/30", Invalid),
        ("0.0.0.0/0", Invalid),
        ("10.84.0.0/16", Conflict),
        ("10.84.0.128/25", Conflict),
    ],
)
def test_a_subnet_lies_where_it_harms_nobody(block: str, problem: type[QemuError]):
    other = PlannedNetwork(id="other", subnets=(IPv4Network("10.84.0.0/24"),))
    network = PlannedNetwork(id="net", subnets=(IPv4Network(block),))
    with pytest.raises(problem):
        check(Plan(networks=(network, other)))


@pytest.mark.parametrize("ip", ["10.83.0.0", "10.83.0.1", "10.83.0.255", "10.84.0.5"])
def test_a_guest_has_no_address_of_the_networks_own(ip: str):
    network = PlannedNetwork(id="net", subnets=(IPv4Network("10.83.0.0/24"),))
    card = Card(guest_id="i", slot=FIRST_SLOT, network_id="net", mac=mac("i"), ip=IPv4Address(ip))
    with pytest.raises(Invalid):
        check(Plan(networks=(network,), cards=(card,)))


def test_one_port_of_this_machine_leads_to_one_place():
    way = Publication(address=LOCAL, port=2000, to=LOCAL, to_port=80)
    other = Publication(address=LOCAL, port=2000, to=LOCAL, to_port=81)
    with pytest.raises(Conflict):
        check(Plan(publications=(way, other)))


def test_what_is_complete_is_left_as_it_is():
    network = PlannedNetwork(id="net", subnets=(IPv4Network("10.83.0.0/24"),))
    device = {
        "ifname": network.bridge,
        "flags": ["UP"],
        "linkinfo": {"info_kind": "bridge"},
        "addr_info": [{"local": "10.83.0.1", "prefixlen": 24}],
    }
    sign = {"ifname": "nimbi", "flags": ["UP"], "ifalias": "abc"}
    assert script(Plan(networks=(network,)), "abc", [device, sign]) == ""
    assert "delete" in script(Plan(), "abc", [device, sign])
