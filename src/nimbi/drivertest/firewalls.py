"""What holds for firewalls and their rules on every cloud."""

from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from nimbi.driver.compute import Instances
from nimbi.driver.network import Firewalls
from nimbi.driver.operation import Collection
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import ConformsToUniqueNaming, Wish
from nimbi.drivertest.needs import needs, needs_feature
from nimbi.drivertest.oddities import FEW_ODD_IDS
from nimbi.drivertest.reading import ConformsToActions
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound
from nimbi.model.firewalls import (
    AddressSource,
    Firewall,
    GroupSource,
    NewFirewall,
    NewRule,
    PrefixListSource,
    Rule,
)
from nimbi.model.firewalls import Protocol as Proto
from nimbi.model.instances import NewInstance
from nimbi.model.resource import Resource

NET = (AddressSource("10.0.0.0", 8),)
SSH = NewRule(protocol=Proto.TCP, port_from=22, port_to=22, sources=NET)

GOOD_RULES = {
    "one port": SSH,
    "a range": replace(SSH, port_from=1, port_to=65535),
    "udp": replace(SSH, protocol=Proto.UDP, port_from=53, port_to=53),
    "icmp": replace(SSH, protocol=Proto.ICMP, port_from=-1, port_to=-1),
    "anywhere": replace(SSH, sources=(AddressSource("0.0.0.0", 0),)),  # noqa: S104  as a source
    "one address": replace(SSH, sources=(AddressSource("192.0.2.7", 32),)),
    "two sources": replace(SSH, sources=(*NET, AddressSource("192.168.0.0", 16))),
}
# Not every cloud has these.
OTHER_RULES = {
    "any protocol": replace(SSH, protocol=Proto.ANY, port_from=-1, port_to=-1),
    "ipv6": replace(SSH, sources=(AddressSource("2001:db8::", 32, "ipv6"),)),
    "anywhere of ipv6": replace(SSH, sources=(AddressSource("::", 0, "ipv6"),)),
    "icmpv6": NewRule(
        protocol=Proto.ICMPV6,
        port_from=-1,
        port_to=-1,
        sources=(AddressSource("2001:db8::", 32, "ipv6"),),
    ),
}
BAD_RULES = {
    "no sources": replace(SSH, sources=()),
    "ports turned round": replace(SSH, port_from=23),
    "port above 65535": replace(SSH, port_to=65536),
    "port below 0": replace(SSH, port_from=-2),
    "no address": replace(SSH, sources=(AddressSource("300.1.2.3", 8),)),
    "no text for an address": replace(SSH, sources=(AddressSource("", 8),)),
    "prefix above 32": replace(SSH, sources=(AddressSource("10.0.0.0", 33),)),
    "prefix below 0": replace(SSH, sources=(AddressSource("10.0.0.0", -1),)),
    "unknown prefix list": replace(SSH, sources=(PrefixListSource("pl-00000000000000000"),)),
    "ipv4 as ipv6": replace(SSH, sources=(AddressSource("10.0.0.0", 8, "ipv6"),)),
}


def let_in(firewall: Firewall) -> list[Rule]:
    """Return the rules for what comes in."""
    return [rule for rule in firewall.rules if rule.direction == "ingress"]


def let_out(firewall: Firewall) -> list[Rule]:
    """Return the rules for what goes out; a cloud may make one with each firewall."""
    return [rule for rule in firewall.rules if rule.direction == "egress"]


class ConformsToFirewalls(ConformsToActions, ConformsToUniqueNaming):
    interface: ClassVar[type[Collection]] = Firewalls
    kind: ClassVar[type[Resource]] = Firewall
    actions: ClassVar[dict[str, tuple[Any, ...]]] = {
        "create_rule": (SSH,),
        "destroy_rule": ("no-such-thing",),
    }

    @pytest.fixture
    async def wish(self) -> Wish:
        return lambda: NewFirewall(name=fresh_name(), description="made by a test")

    @pytest.fixture
    async def firewall(self, made: Made, wish: Wish) -> Firewall:
        firewall: Firewall = await made.create(Firewalls, wish())
        return firewall

    @needs("create", "get")
    async def test_a_description_is_kept(self, cloud: Cloud, firewall: Firewall) -> None:
        assert (await cloud.call(Firewalls.get, firewall.id)).description == "made by a test"

    @needs("create")
    async def test_a_new_firewall_lets_nothing_in(self, firewall: Firewall) -> None:
        assert let_in(firewall) == []

    @needs("create", "create_rule", "get")
    @pytest.mark.parametrize("label", list(GOOD_RULES))
    async def test_a_rule_is_kept_as_it_was_asked(
        self, cloud: Cloud, firewall: Firewall, label: str
    ) -> None:
        asked = GOOD_RULES[label]
        told = await cloud.call(Firewalls.create_rule, firewall.id, asked)
        assert told.rules == (await cloud.call(Firewalls.get, firewall.id)).rules
        self.check_told(let_in(told), asked)

    @needs("create", "create_rule", "get")
    @pytest.mark.parametrize("label", list(OTHER_RULES))
    async def test_a_rule_of_another_kind_is_kept_or_refused(
        self, cloud: Cloud, firewall: Firewall, label: str
    ) -> None:
        asked = OTHER_RULES[label]
        try:
            told = await cloud.call(Firewalls.create_rule, firewall.id, asked)
        except Invalid:
            assert let_in(await cloud.call(Firewalls.get, firewall.id)) == []
            return
        self.check_told(let_in(told), asked)

    @needs("create", "create_rule", "destroy_rule", "get")
    @needs_feature(Firewalls, "egress_rules")
    async def test_a_rule_for_what_goes_out_is_none_for_what_comes_in(
        self, cloud: Cloud, firewall: Firewall
    ) -> None:
        before = let_out(firewall)
        asked = replace(SSH, direction="egress")
        told = await cloud.call(Firewalls.create_rule, firewall.id, asked)
        assert let_in(told) == []
        added = [rule for rule in let_out(told) if rule not in before]
        self.check_told(added, asked)
        await cloud.call(Firewalls.create_rule, firewall.id, SSH)
        for rule in added:
            await cloud.call(Firewalls.destroy_rule, firewall.id, rule.id)
        left = await cloud.call(Firewalls.get, firewall.id)
        assert let_out(left) == before
        self.check_told(let_in(left), SSH)

    @needs("create", "create_rule", "get")
    @needs_feature(Firewalls, "rule_description")
    async def test_the_description_of_a_rule_is_kept(
        self, cloud: Cloud, firewall: Firewall
    ) -> None:
        asked = replace(SSH, description="made by a test")
        await cloud.call(Firewalls.create_rule, firewall.id, asked)
        told = await cloud.call(Firewalls.get, firewall.id)
        assert {rule.description for rule in let_in(told)} == {"made by a test"}

    def check_told(self, rules: list[Rule], asked: NewRule) -> None:
        """Fail unless the rules say what was asked; a cloud may make one of each source."""
        assert {source for rule in rules for source in rule.sources} == set(asked.sources)
        for rule in rules:
            assert (rule.protocol, rule.port_from, rule.port_to, rule.direction) == (
                asked.protocol,
                asked.port_from,
                asked.port_to,
                asked.direction,
            )

    @needs("create", "create_rule", "get")
    async def test_rules_add_up_and_their_ids_differ(
        self, cloud: Cloud, firewall: Firewall
    ) -> None:
        await cloud.call(Firewalls.create_rule, firewall.id, SSH)
        web = replace(SSH, port_from=80, port_to=80)
        told = await cloud.call(Firewalls.create_rule, firewall.id, web)
        assert {rule.port_from for rule in let_in(told)} == {22, 80}
        assert len(let_in(told)) == 2
        assert len({rule.id for rule in told.rules}) == len(told.rules)

    @needs("create", "create_rule")
    async def test_another_firewall_can_be_a_source(
        self, cloud: Cloud, made: Made, wish: Wish, firewall: Firewall
    ) -> None:
        inner: Firewall = await made.create(Firewalls, wish())
        asked = replace(SSH, sources=(GroupSource(firewall.name, firewall.owner_id),))
        told = await cloud.call(Firewalls.create_rule, inner.id, asked)
        names = [s.name for r in told.rules for s in r.sources if isinstance(s, GroupSource)]
        assert names == [firewall.name]
        await cloud.call(Firewalls.destroy_rule, inner.id, let_in(told)[0].id)

    @needs("create", "create_rule", "get")
    async def test_the_same_rule_twice_is_a_conflict(
        self, cloud: Cloud, firewall: Firewall
    ) -> None:
        await cloud.call(Firewalls.create_rule, firewall.id, SSH)
        with pytest.raises(Conflict):
            await cloud.call(Firewalls.create_rule, firewall.id, SSH)
        assert len(let_in(await cloud.call(Firewalls.get, firewall.id))) == 1

    @needs("create", "create_rule", "get")
    async def test_the_same_token_twice_makes_one_rule(
        self, cloud: Cloud, firewall: Firewall
    ) -> None:
        asked = replace(SSH, token="a-token-of-a-test")
        first = await cloud.call(Firewalls.create_rule, firewall.id, asked)
        second = await cloud.call(Firewalls.create_rule, firewall.id, asked)
        assert first.rules == second.rules
        assert len(let_in(second)) == 1

    @needs("create", "create_rule", "get")
    @pytest.mark.parametrize("label", list(BAD_RULES))
    async def test_a_rule_that_makes_no_sense_is_invalid(
        self, cloud: Cloud, firewall: Firewall, label: str
    ) -> None:
        with pytest.raises(Invalid):
            await cloud.call(Firewalls.create_rule, firewall.id, BAD_RULES[label])
        assert let_in(await cloud.call(Firewalls.get, firewall.id)) == []

    @needs("create", "create_rule", "destroy_rule", "get")
    async def test_a_destroyed_rule_is_gone_and_the_others_stay(
        self, cloud: Cloud, firewall: Firewall
    ) -> None:
        await cloud.call(Firewalls.create_rule, firewall.id, SSH)
        web = replace(SSH, port_from=80, port_to=80)
        told = await cloud.call(Firewalls.create_rule, firewall.id, web)
        ssh = next(rule for rule in let_in(told) if rule.port_from == 22)
        await cloud.call(Firewalls.destroy_rule, firewall.id, ssh.id)
        left = await cloud.call(Firewalls.get, firewall.id)
        assert [rule.port_from for rule in let_in(left)] == [80]

    @needs("create", "destroy_rule")
    @pytest.mark.parametrize("id", FEW_ODD_IDS)
    async def test_an_unknown_rule_is_not_found(
        self, cloud: Cloud, firewall: Firewall, id: str
    ) -> None:
        with pytest.raises(NotFound):
            await cloud.call(Firewalls.destroy_rule, firewall.id, id)

    @needs("create", "destroy", Instances.create)
    @needs_feature(Instances, "firewalls")
    async def test_a_firewall_with_an_instance_behind_it_stays(
        self, cloud: Cloud, made: Made, firewall: Firewall, new_instance: NewInstance
    ) -> None:
        await made.create(Instances, replace(new_instance, firewall_ids=(firewall.id,)))
        with pytest.raises(Conflict):
            await cloud.call(Firewalls.destroy, firewall.id)
        assert (await cloud.call(Firewalls.get, firewall.id)).id == firewall.id
