"""What real guests can reach, and what they cannot, on each rung."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from tests.qemu.network.fabric import lab

from nimbi.qemu import Image
from nimbi.qemu.network import cards
from nimbi.qemu.network.fabric import Fabric
from nimbi.qemu.network.plan import (
    ANYWHERE,
    LOCAL,
    METADATA,
    Opening,
    Plan,
    PlannedFirewall,
    Protocol,
    Publication,
)
from nimbi.qemu.network.rungs import Rung

pytestmark = [pytest.mark.guest, pytest.mark.slow, pytest.mark.xdist_group("fabric")]

WEB = PlannedFirewall(
    id="fw-web",
    openings=(
        Opening(protocol=Protocol.TCP, port_from=80, port_to=80, firewall_ids=("fw-web",)),
        Opening(protocol=Protocol.ICMP, icmp_type=8, blocks=(ANYWHERE,)),
    ),
)


@dataclass(frozen=True)
class Yard:
    """Three guests: two in network A, one of them in a second subnet, and one in network B."""

    fabric: Fabric
    plan: Plan
    one: lab.LabGuest
    two: lab.LabGuest
    other: lab.LabGuest
    world: lab.World


@pytest.fixture(scope="module")
def yard(
    image: Image, world: lab.World, rung: Rung, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Yard]:
    root = tmp_path_factory.mktemp("yard")
    fabric = Fabric(root, rung)
    plain = (
        lab.card("one", lab.A, "10.83.0.5"),
        lab.card("two", lab.A, "10.83.1.6"),
        lab.card("other", lab.B, "10.84.0.7"),
    )
    told = [lab.tell(root / f"{c.guest_id}.json", c, c.guest_id.encode()) for c in plain]
    plan = lab.plan_of(*told, firewalls=(WEB,))

    async def begin() -> list[lab.LabGuest]:
        await fabric.apply(plan)
        guests = []
        for number, card in enumerate(told):
            port = plan.publications[number].port
            guest = await lab.boot(fabric, image, root / card.guest_id, card, port)
            guests.append(guest)
            await lab.ready(guest)
        return guests

    guests = asyncio.run(begin())
    try:
        yield Yard(fabric, plan, *guests, world)
    finally:
        for guest in guests:
            lab.end(guest)
        asyncio.run(_end(fabric))


async def _end(fabric: Fabric) -> None:
    await fabric.apply(Plan())
    await fabric.down()
    status = await fabric.status()
    assert (status.namespace, set(map(len, status.pids.values()))) == (None, {0})


async def test_a_guest_is_given_its_address_and_served_at_its_published_port(yard: Yard):
    said = await yard.one.said("ip -4 -o address show dev eth0; hostname")
    assert "10.83.0.5/24" in said
    assert said.endswith("one\n")


async def greets(guest: lab.LabGuest, address: str, port: int) -> bool:
    """Say whether a guest gets an answer of any kind from a TCP server.

    It does not say at once that it has nothing to say: pasta of 2023 then hangs at times.
    """
    said = await guest.said(f"sleep 2 | nc -w 2 {address} {port}")
    return "hello" in said or "SSH-2" in said or "HTTP" in said


async def get(guest: lab.LabGuest, address: str, path: str) -> str:
    """Return what a guest gets of a page: busybox's wget fails in a static program."""
    return await guest.said(_request(address, path))


def _request(address: str, path: str) -> str:
    return f"printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} 80"


async def test_a_port_that_no_firewall_opens_is_shut_also_between_members(yard: Yard):
    assert await greets(yard.one, "10.83.1.6", 22)
    assert not await greets(yard.one, "10.83.1.6", 80)
    assert "0 packets received" in await yard.one.said("ping -c 1 -W 1 10.83.1.6")


async def test_members_of_a_firewall_reach_what_it_opens_to_them_and_others_do_not(yard: Yard):
    one, two, other = yard.plan.cards
    two_open = replace(two, firewall_ids=(lab.OPEN.id, WEB.id))
    await yard.fabric.apply(replace(yard.plan, cards=(one, two_open, other)))
    assert "<h1>" not in await get(yard.one, "10.83.1.6", "/")
    assert "1 packets received" in await yard.one.said("ping -c 1 -W 2 10.83.1.6")
    one_open = replace(one, firewall_ids=(lab.OPEN.id, WEB.id))
    await yard.fabric.apply(replace(yard.plan, cards=(one_open, two_open, other)))
    assert "<h1>two</h1>" in await get(yard.one, "10.83.1.6", "/")
    await yard.fabric.apply(yard.plan)
    assert "<h1>" not in await get(yard.one, "10.83.1.6", "/")


async def banner(address: str, port: int) -> bytes:
    """Return what a client of this machine reads first at a published port."""
    try:
        reader, writer = await asyncio.open_connection(address, port)
        async with asyncio.timeout(20):
            said = await reader.read(5)
    except ConnectionResetError:
        return b"reset"
    writer.close()
    return said


async def test_a_published_port_is_open_for_those_whom_the_firewall_lets_in(yard: Yard):
    near = Publication(address=LOCAL, port=23201, to=yard.one.card.ip, to_port=22)
    far = replace(near, address=IPv4Address(lab.HOST), port=23202)
    for block, seen in (
        ("127.0.0.1/32", (b"SSH-2", b"reset")),
        (f"{lab.HOST}/32", (b"reset", b"SSH-2")),
        ("203.0.113.0/24", (b"reset", b"reset")),
    ):
        opening = Opening(
            protocol=Protocol.TCP, port_from=22, port_to=22, blocks=(IPv4Network(block),)
        )
        wall = PlannedFirewall(id="fw-some", openings=(opening,))
        card = replace(yard.plan.cards[0], firewall_ids=(wall.id,))
        plan = replace(
            yard.plan,
            firewalls=(*yard.plan.firewalls, wall),
            cards=(card, *yard.plan.cards[1:]),
            publications=(near, far),
        )
        assert (await yard.fabric.apply(plan)).refused == {}
        assert (await banner("127.0.0.1", 23201), await banner(lab.HOST, 23202)) == seen
    await yard.fabric.apply(yard.plan)


async def test_networks_do_not_reach_each_other(yard: Yard):
    opened = replace(yard.plan.cards[2], firewall_ids=(lab.OPEN.id, WEB.id))
    await yard.fabric.apply(replace(yard.plan, cards=(*yard.plan.cards[:2], opened)))
    for port in (22, 80):
        assert not await greets(yard.one, "10.84.0.7", port)
    assert "0 packets received" in await yard.one.said("ping -c 1 -W 1 10.84.0.7")
    # Nor the gateway of the other one, with its DNS.
    assert "0 packets received" in await yard.one.said("ping -c 1 -W 1 10.84.0.1")
    await yard.fabric.apply(yard.plan)


async def test_guests_find_each_other_by_name_in_their_own_network_only(yard: Yard):
    assert "10.83.1.6" in await yard.one.said("nslookup two.internal 10.83.0.1")
    assert "10.83.1.6" in await yard.one.said("nslookup two 10.83.0.1")
    assert "10.84.0.7" not in await yard.one.said("nslookup other.internal 10.83.0.1")
    assert "10.84.0.7" not in await yard.one.said("nslookup other.internal 10.84.0.1")


async def test_a_guest_reaches_the_world_and_not_this_machine(yard: Yard):
    with yard.world.greeting(lab.OUTSIDE, 7001, outside=True):
        # As any program of this machine: the guest's own address stays inside.
        said = await yard.one.said(f"sleep 3 | nc -w 3 {lab.OUTSIDE} 7001")
        assert said == f"hello {lab.HOST}"
    gateways = ("10.83.0.1", "10.84.0.1", lab.OUTSIDE, lab.HOST, str(METADATA), "169.254.1.1")
    with yard.world.greeting("127.0.0.1", 7002), yard.world.greeting(lab.HOST, 7003):
        tries = [
            f"(sleep 2 | nc -w 2 {address} {port})"
            for address in ("127.0.0.1", "127.0.0.2", *gateways)
            for port in (7002, 7003, yard.other.port)
        ]
        said = await yard.one.said(" & ".join([*tries, "wait"]), within_s=120)
    assert "hello" not in said
    assert "SSH-2" not in said


async def test_a_guest_that_sends_loopbacks_addresses_over_its_card_reaches_nothing(yard: Yard):
    # passt of 2023, without a packet filter in front, connects such a guest to this machine's own.
    trick = (
        "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet;"
        " ip address flush dev lo; ip route flush table local dev lo;"
        " ip route add 127.0.0.1 via 10.83.0.1 dev eth0 src 10.83.0.5;"
        " sleep 2 | nc -w 3 127.0.0.1 7005;"
        " ip route del 127.0.0.1 dev eth0; ip address add 127.0.0.1/8 dev lo"
    )
    with yard.world.greeting("127.0.0.1", 7005):
        assert "hello" not in await yard.one.said(trick)


async def test_without_outgoing_a_guest_reaches_nothing_outside_and_is_served(yard: Yard):
    shut = replace(yard.plan.cards[0], outgoing=False)
    await yard.fabric.apply(replace(yard.plan, cards=(shut, *yard.plan.cards[1:])))
    with yard.world.greeting(lab.OUTSIDE, 7004, outside=True):
        assert not await greets(yard.one, lab.OUTSIDE, 7004)
        assert await greets(yard.two, lab.OUTSIDE, 7004)
    # It is told the names of its own network, also by the server of the others, and no more.
    assert "10.83.1.6" in await yard.one.said("nslookup two.internal 10.83.0.1")
    with yard.world.resolving():
        assert lab.RESOLVED not in await yard.one.said("nslookup out.example 10.83.0.1")
        assert lab.RESOLVED in await yard.two.said("nslookup out.example 10.83.1.1")
    await yard.fabric.apply(yard.plan)


async def test_a_guest_is_told_about_itself_and_never_about_another(yard: Yard):
    for guest in (yard.one, yard.two, yard.other):
        mine = guest.card.guest_id
        for path in ("meta-data/instance-id", "user-data"):
            said = await get(guest, str(METADATA), f"/latest/{path}")
            assert said.partition("\r\n\r\n")[2] == mine
        key = await get(guest, str(METADATA), "/latest/meta-data/public-keys/0/openssh-key")
        assert key.endswith(f" {mine}")


async def test_another_ones_address_is_of_no_use(yard: Yard):
    asked = _request(str(METADATA), "/latest/meta-data/instance-id")
    said = await yard.one.said(
        "ip address add 10.83.1.6/32 dev lo;"
        f" ip route replace {METADATA}/32 via 10.83.0.1 dev eth0 src 10.83.1.6;"
        f" {asked}; ip route del {METADATA}/32; ip address del 10.83.1.6/32 dev lo"
    )
    assert "HTTP" not in said
    assert "two" in await get(yard.two, str(METADATA), "/latest/meta-data/instance-id")


ATTACK = """
trap '' HUP
exec >/root/attack.log 2>&1
ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up
ip address add {ip}/24 dev eth0
ip route add default via 10.83.1.1
arping -q -c 3 -U -I eth0 {ip}
arping -c 2 -w 2 -I eth0 10.83.1.1
ping -c 1 -W 2 10.83.1.1
printf 'GET /latest/user-data HTTP/1.0\\r\\n\\r\\n' | nc -w 3 169.254.169.254 80
nc -w 2 10.83.1.1 22 </dev/null
ip address flush dev eth0
ip link set eth0 down; ip link set eth0 address {own}; ip link set eth0 up
ip address add 10.83.0.5/24 dev eth0
ip route add default via 10.83.0.1
echo over >/root/attack.over
"""


async def test_another_ones_hardware_address_is_of_no_use(yard: Yard):
    attack = ATTACK.format(mac=yard.two.card.mac, ip="10.83.1.6", own=yard.one.card.mac)
    await yard.one.run(f"cat >/root/attack <<'X'\n{attack}\nX\nsetsid sh /root/attack &")
    # The victim is served all the time: nothing was learned from the attacker's frames.
    for _ in range(10):
        assert "two" in await yard.two.said("hostname; sleep 1")
    said = await yard.one.said("cat /root/attack.over /root/attack.log")
    assert said.startswith("over")
    assert "1 packets received" not in said
    assert "bytes from" not in said
    assert "two" not in said.removeprefix("over")


async def test_a_guest_cannot_answer_dhcp_for_others(yard: Yard):
    rogue = (
        "printf 'start 10.83.0.90\\nend 10.83.0.99\\ninterface eth0\\nlease_file /tmp/l\\n"
        "pidfile /tmp/p\\nopt router 10.83.0.5\\n' >/tmp/u.conf; : >/tmp/l;"
        " (udhcpd -f /tmp/u.conf >/dev/null 2>&1 &)"
    )
    await yard.one.run(rogue)
    said = await yard.two.said("udhcpc -f -q -n -t 3 -T 2 -i eth0 -s /bin/true")
    assert "10.83.1.6" in said
    assert "10.83.0.9" not in said
    await yard.one.run("killall udhcpd")


async def test_asking_dhcp_as_another_tells_nothing_and_takes_nothing(yard: Yard):
    mac = yard.two.card.mac.replace(":", "")
    # A discovery with the hardware address of another inside, from our own card.
    head = f"010106000000002a{'0' * 8}{'0' * 32}{mac}{'0' * 20}{'0' * 384}63825363350101ff"
    script = f"printf '{head}' | xxd -r -p >/tmp/d; nc -u -w 2 -p 68 10.83.0.1 67 </tmp/d | xxd -p"
    assert "0a530106" not in await yard.one.said(script)


async def test_a_card_is_plugged_in_and_out_while_the_guest_runs(yard: Yard):
    second = replace(lab.card("one", lab.A, "10.83.1.9"), slot=20, mac=lab.mac("second"), names=())
    await yard.fabric.apply(replace(yard.plan, cards=(*yard.plan.cards, second)))
    await cards.plug(yard.one.qmp, second)
    await cards.plug(yard.one.qmp, second)
    said = await yard.one.said(
        "while ! ip link show eth1 >/dev/null 2>&1; do usleep 100000; done;"
        " ip link set eth1 up; printf '#!/bin/sh\nenv' >/tmp/s; chmod 700 /tmp/s;"
        " udhcpc -f -q -n -i eth1 -s /tmp/s"
    )
    assert "ip=10.83.1.9" in said
    assert "router=" not in said
    async with asyncio.timeout(30):
        gone = False
        while not gone:
            gone = await cards.unplug(yard.one.qmp, second, press=True)
            await asyncio.sleep(lab.LOOK_EVERY_S)
    assert "eth1" not in await yard.one.said("ip link")
    await yard.fabric.apply(yard.plan)


def test_the_guests_qemu_has_no_rights_over_the_network(yard: Yard):
    status = Path(f"/proc/{yard.one.process.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
