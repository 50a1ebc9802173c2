"""Firewalls and their rules."""

from typing import Any

import pytest

from nimbi.drivers.mock.firewalls import MockFirewalls
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.network_interfaces import MockNetworkInterfaces
from nimbi.drivers.mock.session import Session
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.firewalls import (
    AddressSource,
    Firewall,
    GroupSource,
    NewFirewall,
    NewRule,
    PrefixListSource,
    Protocol,
)
from nimbi.model.instances import NewInstance
from nimbi.model.networks import NewNetworkInterface

ALL = AddressSource("0.0.0.0", 0)


def rule(**changes: Any) -> NewRule:
    asked: dict[str, Any] = {
        "protocol": Protocol.TCP,
        "port_from": 22,
        "port_to": 22,
        "sources": (ALL,),
    }
    return NewRule(**(asked | changes))


@pytest.fixture
async def firewall(session: Session) -> Firewall:
    return await MockFirewalls(session).create(NewFirewall(name="web", description="Web"))


async def test_a_firewall_is_made_without_rules(firewall: Firewall) -> None:
    assert (firewall.id, firewall.name, firewall.owner_id) == ("web", "web", "mockuser")
    assert firewall.rules == ()


async def test_a_name_in_use_is_a_conflict(session: Session, firewall: Firewall) -> None:
    with pytest.raises(Conflict):
        await MockFirewalls(session).create(NewFirewall(name="web", description="Again"))


async def test_a_rule_is_added_and_removed(session: Session, firewall: Firewall) -> None:
    firewalls = MockFirewalls(session)
    sources = (AddressSource("10.1.2.3", 8), GroupSource("web"), AddressSource("fd00::", 8, "ipv6"))
    made = (await firewalls.create_rule("web", rule(sources=sources))).rules[0]
    assert (made.protocol, made.port_from, made.port_to) == (Protocol.TCP, 22, 22)
    assert made.sources == (
        AddressSource("10.0.0.0", 8),
        GroupSource("web", "mockuser"),
        AddressSource("fd00::", 8, "ipv6"),
    )
    other = await firewalls.create_rule("web", rule(port_to=23))
    assert len({r.id for r in other.rules}) == 2
    await firewalls.destroy_rule("web", made.id)
    assert [r.port_to for r in (await firewalls.get("web")).rules] == [23]
    with pytest.raises(NotFound):
        await firewalls.destroy_rule("web", made.id)


async def test_the_same_rule_twice_is_a_conflict(session: Session, firewall: Firewall) -> None:
    firewalls = MockFirewalls(session)
    await firewalls.create_rule("web", rule(sources=(ALL, GroupSource("web"))))
    with pytest.raises(Conflict):
        await firewalls.create_rule("web", rule(sources=(GroupSource("web"), ALL)))


@pytest.mark.parametrize(
    "changes",
    [
        {"port_from": 23},
        {"port_from": -1},
        {"port_to": 65536},
        {"protocol": Protocol.ICMP, "port_to": 256},
        {"sources": ()},
        {"sources": (AddressSource("10.0.0.0", 33),)},
        {"sources": (AddressSource("here", 8),)},
        {"sources": (AddressSource("10.0.0.0", 8, "ipv6"),)},
        {"sources": (GroupSource("none"),)},
        {"sources": (GroupSource("web", "somebody"),)},
    ],
)
async def test_a_rule_that_cannot_be_is_invalid(
    session: Session, firewall: Firewall, changes: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await MockFirewalls(session).create_rule("web", rule(**changes))


async def test_type_and_code_of_icmp_may_be_any(session: Session, firewall: Firewall) -> None:
    asked = rule(protocol=Protocol.ICMP, port_from=8, port_to=-1)
    made = await MockFirewalls(session).create_rule("web", asked)
    assert (made.rules[0].port_from, made.rules[0].port_to) == (8, -1)


async def test_a_firewall_in_use_stays(session: Session, firewall: Firewall) -> None:
    firewalls, instances = MockFirewalls(session), MockInstances(session)
    await firewalls.create(NewFirewall(name="db", description="Database"))
    await firewalls.create_rule("db", rule(sources=(GroupSource("web"),)))
    with pytest.raises(Conflict):
        await firewalls.destroy("web")
    await firewalls.destroy("db")
    made = await instances.create(NewInstance(image_id="img1", firewall_ids=("web",)))
    with pytest.raises(Conflict):
        await firewalls.destroy("web")
    await instances.stop(made.id)
    await instances.destroy(made.id)
    await firewalls.destroy("web")
    with pytest.raises(NotFound):
        await firewalls.get("web")


async def test_a_prefix_list_that_the_cloud_keeps_can_be_a_source(
    session: Session, firewall: Firewall
) -> None:
    firewalls = MockFirewalls(session)
    made = await firewalls.create_rule("web", rule(sources=(PrefixListSource("pl-mock"),)))
    assert made.rules[0].sources == (PrefixListSource("pl-mock"),)
    with pytest.raises(Invalid):
        await firewalls.create_rule("web", rule(sources=(PrefixListSource("pl-other"),)))


async def test_the_same_rule_in_and_out_are_two(session: Session, firewall: Firewall) -> None:
    firewalls = MockFirewalls(session)
    await firewalls.create_rule("web", rule())
    made = await firewalls.create_rule("web", rule(direction="egress"))
    assert [r.direction for r in made.rules] == ["ingress", "egress"]
    with pytest.raises(Conflict):
        await firewalls.create_rule("web", rule(direction="egress"))


async def test_a_firewall_in_front_of_an_interface_stays(
    session: Session, firewall: Firewall
) -> None:
    nics = MockNetworkInterfaces(session)
    wish = NewNetworkInterface(instance_id="inst0", network_id="net1", firewall_ids=("web",))
    nic = await nics.create(wish)
    assert nic.firewall_ids == ("web",)
    with pytest.raises(Conflict):
        await MockFirewalls(session).destroy("web")
    await nics.destroy(nic.id)
    await MockFirewalls(session).destroy("web")
    with pytest.raises(NotFound):
        await nics.create(wish)
