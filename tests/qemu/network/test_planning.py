"""What is written down about networks, changed at random: nothing is given out twice, ever."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from nimbi.qemu.balancers.balancers import add_balancer, register
from nimbi.qemu.errors import QemuError
from nimbi.qemu.network import addresses, firewalls, interfaces, networks
from nimbi.qemu.network.blocks import Block
from nimbi.qemu.network.plan import LOCAL, Plan, Publication, check, is_usable
from nimbi.qemu.network.planning import of_fabric, of_user
from nimbi.qemu.network.records import KINDS, Records, Running, digits, mended

AT = datetime(2026, 1, 1, tzinfo=UTC)
PORTS = {80: 20000, 22: 20001}
BLOCKS = ("10.77.0.0/28", "10.78.0.0/16", "192.168.7.0/24", None)


def start() -> Records:
    return firewalls.with_default(networks.with_default(Records(), (), AT), AT)


def running(number: int) -> Running:
    return Running(id=guest_id(number), host_name=f"guest-{number}", ports=PORTS, outgoing=True)


def guest_id(number: int) -> str:
    return f"i-{digits(str(number))}"


class Cloud(RuleBasedStateMachine):
    """Requests of all kinds, in any order; those that are refused leave all as it is."""

    nets = Bundle("nets")
    subs = Bundle("subs")
    walls = Bundle("walls")
    guests = Bundle("guests")
    cards = Bundle("cards")
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.records = start()
        self.numbers = 0

    def change(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            found = function(self.records, *args, **kwargs)
        except QemuError:
            return None
        self.records, made = found if isinstance(found, tuple) else (found, None)
        return made.id if made else None

    @rule(target=nets, block=st.sampled_from(BLOCKS))
    def network(self, block: str | None) -> Any:
        return self.change(networks.add_network, name=None, block=block, token=None, host=(), at=AT)

    @rule(target=subs, network=nets, third=st.integers(0, 3), prefix=st.integers(28, 29))
    def subnet(self, network: str | None, third: int, prefix: int) -> Any:
        base = self.records.networks.get(network or "")
        within = Block(base.block) if base else networks.DEFAULT
        block = f"{within[third * 8 % within.num_addresses]}/{prefix}"
        return self.change(
            networks.add_subnet, network_id=network or "", block=block, name=None, token=None, at=AT
        )

    @rule(network=nets)
    def network_goes(self, network: str | None) -> None:
        self.change(networks.remove_network, network or "")

    @rule(subnet=subs)
    def subnet_goes(self, subnet: str | None) -> None:
        self.change(networks.remove_subnet, subnet or "")

    @rule(target=walls)
    def firewall(self) -> Any:
        self.numbers += 1
        return self.change(
            firewalls.add_firewall, name=f"wall {self.numbers}", description="", token=None, at=AT
        )

    @rule(
        wall=walls, source=walls, first=st.integers(0, 3), protocol=st.sampled_from(["tcp", "icmp"])
    )
    def opening(self, wall: str | None, source: str | None, first: int, protocol: str) -> None:
        sources = ("10.0.0.0/8", source or firewalls.DEFAULT_ID)
        self.change(
            firewalls.add_rule,
            wall or "",
            protocol=protocol,
            first=first,
            last=first,
            sources=sources,
            token=None,
        )

    @rule(wall=walls)
    def firewall_goes(self, wall: str | None) -> None:
        self.change(firewalls.remove_firewall, wall or "")

    @rule(target=guests, wall=walls)
    def guest_with(self, wall: str | None) -> str:
        return self.joined((wall,) if wall else ())

    @rule(target=guests)
    def guest(self) -> str:
        return self.joined(())

    def joined(self, firewall_ids: tuple[str, ...]) -> str:
        self.numbers += 1
        new = running(self.numbers)
        if self.change(interfaces.join, new.id, firewall_ids, AT):
            ports = {80: 20000 + 2 * self.numbers, 22: 20001 + 2 * self.numbers}
            self.records = self.records.having(replace(new, ports=ports))
        return new.id

    @rule(guest=consumes(guests))
    def guest_goes(self, guest: str) -> None:
        self.change(interfaces.forget_guest, guest)
        assert guest not in repr(self.records)

    @rule(target=cards, guest=guests, network=nets)
    def card(self, guest: str, network: str | None) -> Any:
        return self.change(
            interfaces.add_card,
            guest_id=guest,
            network_id=network or networks.DEFAULT_ID,
            subnet_id=None,
            name=None,
            token=None,
            at=AT,
        )

    @rule(target=cards, guest=guests, subnet=subs)
    def card_in_subnet(self, guest: str, subnet: str | None) -> Any:
        return self.change(
            interfaces.add_card,
            guest_id=guest,
            network_id=None,
            subnet_id=subnet or "",
            name=None,
            token=None,
            at=AT,
        )

    @rule(target=held)
    def address(self) -> Any:
        return self.change(addresses.add_address, Block("127.83.0.0/29"), None, AT)

    @rule(address=held, guest=guests)
    def points(self, address: str | None, guest: str) -> None:
        if guest in self.records.running:
            self.change(addresses.associate, address or "", guest)

    @rule(guest=guests, port=st.integers(1, 3))
    def balancer(self, guest: str, port: int) -> None:
        made = self.change(
            add_balancer,
            Block("127.83.0.0/29"),
            name="web",
            listeners=[("tcp", port, port)],
            token=None,
            at=AT,
        )
        if guest in self.records.running:
            self.change(register, made or "", guest)

    @invariant()
    def nothing_is_given_out_twice(self) -> None:
        records = self.records
        cards = list(records.cards.values())
        assert len({card.ip for card in cards}) == len(cards)
        assert len({card.mac for card in cards}) == len(cards)
        assert len({(card.guest_id, card.slot) for card in cards}) == len(cards)
        ips = [a.ip for a in records.addresses.values()] + [
            b.ip for b in records.balancers.values()
        ]
        assert len(set(ips)) == len(ips)

    @invariant()
    def cards_have_usable_addresses_of_their_own_block(self) -> None:
        for card in self.records.cards.values():
            holder = self.records.subnets[card.subnet_id] if card.subnet_id else None
            block = holder.block if holder else self.records.networks[card.network_id].block
            assert is_usable(IPv4Address(card.ip), Block(block))

    @invariant()
    def the_plan_can_be_carried_out(self) -> None:
        plan = of_fabric(self.records)
        check(plan)
        check(of_user(self.records))
        assert {card.guest_id for card in plan.cards} == self.records.running.keys()

    @invariant()
    def the_plan_does_not_hang_on_the_order(self) -> None:
        turned = Records(**{place: backwards(getattr(self.records, place)) for place in KINDS})
        assert of_fabric(turned) == of_fabric(self.records)
        assert of_user(turned) == of_user(self.records)

    @invariant()
    def nothing_has_to_be_mended(self) -> None:
        assert mended(self.records) == self.records


def backwards(things: Mapping[str, Any]) -> dict[str, Any]:
    return dict(reversed(things.items()))


TestCloud = Cloud.TestCase
TestCloud.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def joined(number: int = 1, *firewall_ids: str, records: Records | None = None) -> Records:
    records, _ = interfaces.join(records or start(), guest_id(number), firewall_ids, AT)
    return records.having(running(number))


def test_without_guests_there_is_nothing_to_carry() -> None:
    records, _ = networks.add_network(start(), name=None, block=None, token=None, host=(), at=AT)
    assert of_fabric(records) == Plan()


def test_a_guest_that_does_not_run_is_not_in_the_plan() -> None:
    records = joined(2, records=joined(1)).without(running(1))
    assert [card.guest_id for card in of_fabric(records).cards] == [guest_id(2)]


def test_published_ports_lead_to_the_first_card() -> None:
    records = joined()
    to = IPv4Address(records.cards[interfaces.first_card_id(guest_id(1))].ip)
    assert of_fabric(records).publications == (
        Publication(address=LOCAL, port=20001, to=to, to_port=22),
        Publication(address=LOCAL, port=20000, to=to, to_port=80),
    )


def test_a_held_address_leads_to_the_same_ports_of_its_guest_on_every_rung() -> None:
    records, held = addresses.add_address(joined(), addresses.STATIC, None, AT)
    records = addresses.associate(records, held.id, guest_id(1))
    by_fabric = of_fabric(records).publications[2:]
    to = IPv4Address(records.cards[interfaces.first_card_id(guest_id(1))].ip)
    ip = IPv4Address("127.83.0.1")
    assert by_fabric == tuple(
        Publication(address=ip, port=port, to=to, to_port=port) for port in (22, 80)
    )
    assert of_user(records).publications == tuple(
        Publication(address=ip, port=port, to=LOCAL, to_port=PORTS[port]) for port in (22, 80)
    )


def test_a_balancer_may_reach_the_ports_of_its_members_and_no_others() -> None:
    records, balancer = add_balancer(
        joined(2, records=joined(1)),
        addresses.BALANCED,
        name="web",
        listeners=[("http", 80, 8080), ("tcp", 2222, 22)],
        token=None,
        at=AT,
    )
    records = register(records, balancer.id, guest_id(1))
    plan = of_fabric(records)
    walls = {card.guest_id: card.firewall_ids for card in plan.cards}
    assert walls[guest_id(1)] == (firewalls.DEFAULT_ID, balancer.id)
    assert walls[guest_id(2)] == (firewalls.DEFAULT_ID,)
    wall = next(wall for wall in plan.firewalls if wall.id == balancer.id)
    assert [(o.port_from, o.port_to, o.balanced) for o in wall.openings] == [
        (22, 22, True),
        (8080, 8080, True),
    ]
    assert not any(o.blocks or o.firewall_ids for o in wall.openings)


def test_a_rule_without_members_behind_its_source_lets_nothing_in() -> None:
    records, inner = firewalls.add_firewall(
        start(), name="inner", description="", token=None, at=AT
    )
    records, outer = firewalls.add_firewall(
        records, name="outer", description="", token=None, at=AT
    )
    records, _ = firewalls.add_rule(
        records, inner.id, protocol="tcp", first=22, last=22, sources=(outer.id,), token=None
    )
    records = joined(1, inner.id, records=records)
    (wall,) = of_fabric(records).firewalls
    assert wall.openings[0].firewall_ids == ()
    assert wall.openings[0].blocks == ()
    records = joined(2, outer.id, records=records)
    walls = {wall.id: wall for wall in of_fabric(records).firewalls}
    assert walls[inner.id].openings[0].firewall_ids == (outer.id,)


def test_every_field_of_a_running_guest_is_in_the_plan() -> None:
    """A field that is added to Running must change the plan, or it is forgotten there."""
    records = joined()
    before = of_fabric(records)
    others = {"host_name": "other", "ports": {}, "outgoing": False, "metadata": "m"}
    assert {field.name for field in fields(Running)} == {"id", *others}
    for name, value in others.items():
        assert of_fabric(records.having(replace(running(1), **{name: value}))) != before
