"""Firewalls: what rules mean to Neutron, and what Neutron's rules mean."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.drivers.openstack.canned import logged_in, standing_in
from tests.drivers.openstack.neutron import LOST, PROJECT, StandIn, refusal
from tests.targets.exchange import Asked, Reply

from nimbi.driver.network import Firewalls
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid
from nimbi.model.firewalls import (
    AddressSource,
    Firewall,
    GroupSource,
    NewFirewall,
    NewRule,
    PrefixListSource,
    Protocol,
    Rule,
)

NET = AddressSource("10.0.0.0", 8)
NET6 = AddressSource("2001:db8::", 32, "ipv6")
SSH = NewRule(protocol=Protocol.TCP, port_from=22, port_to=22, sources=(NET,))
ALL = NewRule(protocol=Protocol.ANY, port_from=-1, port_to=-1, sources=(NET,))


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    async with standing_in(StandIn()) as stand_in:
        yield stand_in


@pytest.fixture
async def cloud(stand_in: StandIn, tmp_path: Path) -> AsyncIterator[Cloud]:
    async with logged_in(stand_in, tmp_path) as cloud:
        yield cloud


@pytest.fixture
async def firewall(cloud: Cloud) -> Firewall:
    return await cloud.call(Firewalls.create, NewFirewall(name="web", description="the web"))


def kept(stand_in: StandIn, firewall: Firewall) -> list[dict[str, Any]]:
    """Return the rules as Neutron has them."""
    rules: list[dict[str, Any]] = stand_in.neutron["security-groups"][firewall.id][
        "security_group_rules"
    ]
    return rules


async def added(cloud: Cloud, firewall: Firewall, new: NewRule) -> tuple[Rule, ...]:
    return (await cloud.call(Firewalls.create_rule, firewall.id, new)).rules


@pytest.mark.parametrize(
    ("new", "family", "protocol", "ports", "prefix"),
    [
        (SSH, "IPv4", "tcp", (22, 22), "10.0.0.0/8"),
        (replace(SSH, sources=(NET6,)), "IPv6", "tcp", (22, 22), "2001:db8::/32"),
        (ALL, "IPv4", None, (None, None), "10.0.0.0/8"),
        (replace(ALL, protocol=Protocol.ICMP), "IPv4", "icmp", (None, None), "10.0.0.0/8"),
        (
            replace(ALL, protocol=Protocol.ICMP, port_from=3, port_to=4),
            "IPv4",
            "icmp",
            (3, 4),
            "10.0.0.0/8",
        ),
        (
            replace(ALL, protocol=Protocol.ICMPV6, port_from=128, sources=(NET6,)),
            "IPv6",
            "ipv6-icmp",
            (128, None),
            "2001:db8::/32",
        ),
        (
            replace(SSH, protocol=Protocol.UDP, port_from=0, port_to=65535),
            "IPv4",
            "udp",
            (1, 65535),
            "10.0.0.0/8",
        ),
    ],
)
async def test_a_rule_is_written_in_the_words_of_neutron(
    cloud: Cloud,
    stand_in: StandIn,
    firewall: Firewall,
    new: NewRule,
    family: str,
    protocol: str | None,
    ports: tuple[int | None, int | None],
    prefix: str,
) -> None:
    await added(cloud, firewall, new)
    (rule,) = kept(stand_in, firewall)
    assert (rule["ethertype"], rule["protocol"], rule["remote_ip_prefix"]) == (
        family,
        protocol,
        prefix,
    )
    assert (rule["port_range_min"], rule["port_range_max"]) == ports


@pytest.mark.parametrize(
    "new",
    [
        replace(ALL, protocol=Protocol.ICMP, sources=(NET6,)),
        replace(ALL, protocol=Protocol.ICMPV6, sources=(NET,)),
        replace(ALL, protocol=Protocol.ICMP, port_to=3),
        replace(SSH, port_from=0, port_to=0),
        replace(SSH, sources=(GroupSource("nobody"),)),
        replace(SSH, sources=(PrefixListSource("../networks"),)),
    ],
)
async def test_a_rule_that_means_nothing_is_refused(
    cloud: Cloud, stand_in: StandIn, firewall: Firewall, new: NewRule
) -> None:
    with pytest.raises(Invalid):
        await added(cloud, firewall, new)
    assert kept(stand_in, firewall) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # What a new group of Neutron's lets out.
        (
            {"ethertype": "IPv6", "protocol": None, "direction": "egress"},
            (Protocol.ANY, -1, -1, AddressSource("::", 0, "ipv6")),
        ),
        ({"protocol": "tcp"}, (Protocol.TCP, 1, 65535, AddressSource("0.0.0.0", 0))),
        (
            {"protocol": "17", "port_range_min": 53, "port_range_max": 53},
            (Protocol.UDP, 53, 53, AddressSource("0.0.0.0", 0)),
        ),
        (
            {"protocol": "icmp", "ethertype": "IPv6", "remote_ip_prefix": "2001:db8::/32"},
            (Protocol.ICMPV6, -1, -1, NET6),
        ),
        (
            {"protocol": "tcp", "remote_address_group_id": "list"},
            (Protocol.TCP, 1, 65535, PrefixListSource("list")),
        ),
    ],
)
async def test_rules_of_others_are_understood(
    cloud: Cloud,
    stand_in: StandIn,
    firewall: Firewall,
    told: dict[str, Any],
    expected: tuple[Any, ...],
) -> None:
    rule = {"id": "a", "ethertype": "IPv4", "direction": "ingress", "description": "", **told}
    kept(stand_in, firewall).append(rule)
    (found,) = (await cloud.call(Firewalls.get, firewall.id)).rules
    assert (found.protocol, found.port_from, found.port_to, *found.sources) == expected
    assert found.direction == rule["direction"]


async def test_a_protocol_without_a_name_is_left_to_the_answer_of_the_cloud(
    cloud: Cloud, stand_in: StandIn, firewall: Firewall
) -> None:
    rule = {"id": "a", "ethertype": "IPv4", "direction": "ingress", "protocol": "gre"}
    kept(stand_in, firewall).append(rule)
    told = await cloud.call(Firewalls.get, firewall.id)
    assert told.rules == ()
    assert told.extra["security_group_rules"] == [rule]


async def test_a_firewall_as_source_is_one_rule_for_both_families(
    cloud: Cloud, stand_in: StandIn, firewall: Firewall
) -> None:
    new = replace(SSH, sources=(GroupSource("web"),), description="among us")
    (rule,) = await added(cloud, firewall, new)
    assert rule.sources == (GroupSource("web", PROJECT),)
    assert rule.description == "among us"
    assert {each["ethertype"] for each in kept(stand_in, firewall)} == {"IPv4", "IPv6"}
    assert {each["remote_group_id"] for each in kept(stand_in, firewall)} == {firewall.id}
    await cloud.call(Firewalls.destroy_rule, firewall.id, rule.id)
    assert kept(stand_in, firewall) == []


async def test_a_firewall_can_be_named_by_its_id(
    cloud: Cloud, stand_in: StandIn, firewall: Firewall
) -> None:
    other = stand_in.add("security-groups", {"name": "other", "project_id": "theirs"})
    new = replace(SSH, sources=(GroupSource(other["id"]),))
    (rule,) = await added(cloud, firewall, new)
    assert rule.sources == (GroupSource("other", "theirs"),)


async def test_two_firewalls_of_one_name_are_no_source(
    cloud: Cloud, stand_in: StandIn, firewall: Firewall
) -> None:
    for _ in range(2):
        stand_in.add("security-groups", {"name": "twin"})
    with pytest.raises(Invalid, match="2 firewalls"):
        await added(cloud, firewall, replace(SSH, sources=(GroupSource("twin"),)))


async def test_a_lost_answer_leaves_one_rule(
    cloud: Cloud, stand_in: StandIn, firewall: Firewall
) -> None:
    lost: list[str] = []

    def after(asked: Asked, told: Reply) -> Reply:
        if asked.method == "POST" and not lost:
            lost.append(asked.target)
            return Reply(told.status, told.body, told.headers, cut=LOST)
        return told

    stand_in.after = after
    rules = await added(cloud, firewall, replace(SSH, description="for us"))
    assert lost
    assert [rule.description for rule in rules] == ["for us"]


async def test_names_that_differ_in_case_only_are_two(cloud: Cloud, firewall: Firewall) -> None:
    other = await cloud.call(Firewalls.create, NewFirewall(name="WEB", description=""))
    assert other.id != firewall.id
    assert other.description == ""


async def test_of_two_who_take_a_name_at_the_same_time_one_has_it(
    cloud: Cloud, stand_in: StandIn
) -> None:
    def after(asked: Asked, told: Reply) -> Reply:
        if asked.method == "POST" and asked.target.endswith("security-groups"):
            stand_in.add("security-groups", {"name": "db", "created_at": "2026-01-01T00:00:00Z"})
        return told

    stand_in.after = after
    with pytest.raises(Conflict):
        await cloud.call(Firewalls.create, NewFirewall(name="db", description=""))
    groups = stand_in.neutron["security-groups"].values()
    assert [group["name"] for group in groups] == ["db"]


async def test_a_description_has_room_for_the_mark(cloud: Cloud, stand_in: StandIn) -> None:
    with pytest.raises(Invalid, match="description"):
        await cloud.call(Firewalls.create, NewFirewall(name="long", description="x" * 230))
    new = await cloud.call(Firewalls.create, NewFirewall(name="long", description="x" * 200))
    assert new.description == "x" * 200
    assert len(stand_in.neutron["security-groups"][new.id]["description"]) <= 255


@pytest.mark.parametrize("task", ["deleting", None, "gone"])
async def test_a_firewall_of_instances_that_leave_waits_for_them(
    cloud: Cloud, stand_in: StandIn, firewall: Firewall, task: str | None
) -> None:
    instance_id = stand_in.attached("10.1.0.5", "s")
    stand_in.servers[instance_id]["OS-EXT-STS:task_state"] = task
    (port,) = stand_in.neutron["ports"].values()
    port["security_groups"] = [firewall.id]
    if task == "gone":
        del stand_in.servers[instance_id]
    refusals = [1, 2, 3] if task else [*range(100)]

    def before(asked: Asked) -> Reply | None:
        if asked.method == "DELETE" and refusals:
            refusals.pop()
            return refusal(409, "SecurityGroupInUse")
        return None

    stand_in.before = before
    if task:
        await cloud.call(Firewalls.destroy, firewall.id)
        assert firewall.id not in stand_in.neutron["security-groups"]
        return
    with pytest.raises(Conflict):
        await cloud.call(Firewalls.destroy, firewall.id)
    assert len(refusals) >= 98
