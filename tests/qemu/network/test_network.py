"""Real guests on a fabric: what firewalls, cards, addresses and balancers do to their traffic."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from tests.machines import stock

from nimbi.qemu import GuestSpec, Hypervisor, Image, State, open_hypervisor
from nimbi.qemu.balancers.haproxy import CONFIGURATION
from nimbi.qemu.errors import Conflict
from nimbi.qemu.guests.keys import generate
from nimbi.qemu.host.process import kill, with_argument
from nimbi.qemu.network.interfaces import first_card_id
from nimbi.qemu.network.records import Address
from nimbi.qemu.network.rungs import Rung, refusal_of
from nimbi.qemu.options import Options

pytestmark = pytest.mark.guest

SETTLED = frozenset({State.RUNNING, State.STOPPED, State.ERROR})
BOOT_S = 120
SSH = 22
WEB = 80
BALANCED = 8080
DIED = 9
TITLES = {"one": b"<title>one</title>", "two": b"<title>two</title>"}


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run a coroutine on a loop in a thread of its own: pytest-asyncio owns this thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work(*arguments))).result()


@dataclass(frozen=True)
class Pair:
    """Two guests that run, each behind a firewall of its own that lets in nothing but ssh."""

    root: Path
    options: Options
    one: str
    two: str
    walls: dict[str, str]
    private_key: str


@pytest.fixture(scope="module", params=[Rung.USERNS, Rung.ROOT])
def options(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Options:
    if reason := apart(refusal_of, tmp_path_factory.mktemp("probe"), request.param):
        pytest.skip(reason)
    # Pools of its own: other tests run on this machine at the same time.
    pid = os.getpid()
    pools = [IPv4Network(f"127.{base + pid % 50}.{pid // 50 % 256}.0/24") for base in (90, 150)]
    return Options(network=request.param.value, addresses=pools[0], balancer_addresses=pools[1])


@pytest.fixture(scope="module")
def pair(
    options: Options, root: Path, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    state = tmp_path_factory.mktemp(f"network-{options.network}")
    stock(state, root)
    yield apart(boot, state, options, image)
    apart(end, state, options)


async def boot(state: Path, options: Options, image: Image) -> Pair:
    public, private = generate("ed25519")
    made, walls = [], {}
    async with open_hypervisor(state, options) as hypervisor:
        for name in TITLES:
            wall = await hypervisor.network.create_firewall(name=name, description="", token=name)
            await open_port(hypervisor, wall.id, SSH, "0.0.0.0/0")
            walls[name] = wall.id
            spec = GuestSpec(
                name=name,
                image_id=image.id,
                memory_mib=96,
                public_keys=(public,),
                firewall_ids=(wall.id,),
                token=name,
            )
            made.append((await hypervisor.create(spec)).id)
        ready = [await hypervisor.wait(id, SETTLED, BOOT_S) for id in made]
    assert {guest.state for guest in ready} == {State.RUNNING}, ready
    return Pair(state, options, made[0], made[1], walls, private)


async def end(state: Path, options: Options) -> None:
    async with open_hypervisor(state, options) as hypervisor:
        for guest in await hypervisor.guests():
            await hypervisor.destroy(guest.id)
        for balancer in await hypervisor.balancers.all():
            await hypervisor.balancers.destroy(balancer.id)
        await hypervisor.network.keep_house()


@pytest.fixture
async def hypervisor(pair: Pair) -> AsyncIterator[Hypervisor]:
    async with open_hypervisor(pair.root, pair.options) as opened:
        yield opened
        for wall in (await opened.network.records()).firewalls.values():
            for rule in wall.rules if wall.id in pair.walls.values() else ():
                if rule.first != SSH:
                    await opened.network.destroy_rule(wall.id, rule.id)


# In a guest, which has no better client that gives up.
LOOK = "(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 1) | timeout 5 nc {} 80; true"

Shell = Callable[[str, str], Awaitable[str]]


@pytest.fixture
def shell(hypervisor: Hypervisor, pair: Pair) -> Shell:
    async def run(id: str, line: str) -> str:
        ended = await hypervisor.run(id, line, pair.private_key, within_s=60)
        return (ended.out + ended.err).decode()

    return run


async def open_port(hypervisor: Hypervisor, wall: str, port: int, source: str) -> str:
    """Let a port in, and return the rule's id."""
    told = await hypervisor.network.create_rule(
        wall, protocol="tcp", first=port, last=port, sources=(source,), token=None
    )
    return told.rules[-1].id


async def page(ip: str, port: int) -> bytes:
    """Return what a web server says; nothing when it lets nobody in."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(ip, port)
            writer.write(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            found = await reader.read()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return b""
    return found


async def address(hypervisor: Hypervisor, id: str) -> str:
    """Return the address of a guest's first card."""
    return (await hypervisor.network.records()).cards[first_card_id(id)].ip


async def published(hypervisor: Hypervisor, id: str) -> bytes:
    guest = await hypervisor.guest(id)
    return await page(guest.address, guest.ports[WEB])


async def test_a_rule_lets_in_the_other_firewalls_members_and_its_end_shuts_them_out(
    hypervisor: Hypervisor, pair: Pair, shell: Shell
) -> None:
    look = LOOK.format(await address(hypervisor, pair.one))
    assert "title>one" not in await shell(pair.two, look)
    rule = await open_port(hypervisor, pair.walls["one"], WEB, pair.walls["two"])
    assert "title>one" in await shell(pair.two, look)
    # The host is behind no firewall of theirs.
    assert await published(hypervisor, pair.one) == b""
    await hypervisor.network.destroy_rule(pair.walls["one"], rule)
    assert "title>one" not in await shell(pair.two, look)


async def test_a_published_port_answers_whom_the_firewall_lets_in(
    hypervisor: Hypervisor, pair: Pair
) -> None:
    assert await published(hypervisor, pair.one) == b""
    rule = await open_port(hypervisor, pair.walls["one"], WEB, "0.0.0.0/0")
    assert TITLES["one"] in await published(hypervisor, pair.one)
    await hypervisor.network.destroy_rule(pair.walls["one"], rule)
    assert await published(hypervisor, pair.one) == b""


async def test_a_ping_is_let_in_by_its_type(
    hypervisor: Hypervisor, pair: Pair, shell: Shell
) -> None:
    look = "ping -c 1 -W 3 one | grep -c 'bytes from'"
    wrong, right = (13, -1), (8, 0)
    for (first, last), seen in ((wrong, "0"), (right, "1")):
        told = await hypervisor.network.create_rule(
            pair.walls["one"],
            protocol="icmp",
            first=first,
            last=last,
            sources=("10.0.0.0/8",),
            token=None,
        )
        assert (await shell(pair.two, look)).split()[0] == seen
        await hypervisor.network.destroy_rule(pair.walls["one"], told.rules[-1].id)


async def test_a_card_comes_and_goes_while_the_guest_runs_and_networks_are_apart(
    hypervisor: Hypervisor, pair: Pair, shell: Shell
) -> None:
    network = hypervisor.network
    made = await network.create_network(name="apart", block="10.91.0.0/16", token=None)
    subnet = await network.create_subnet(
        network_id=made.id, block="10.91.7.0/24", name=None, token=None
    )
    card = await network.create_interface(
        guest_id=pair.one, network_id=made.id, subnet_id=None, name=None, token=None
    )
    assert (card.subnet_id, card.joining) == (subnet.id, False)
    wait = (
        "for i in $(seq 50); do ip -o -4 addr | grep -q {0} && break; sleep 0.2; done; ip -o addr"
    )
    assert f"{card.ip}/24" in await shell(pair.one, wait.format(card.ip))
    # Rules that would let it in do not join two networks.
    rule = await open_port(hypervisor, pair.walls["one"], WEB, "0.0.0.0/0")
    assert "title" not in await shell(pair.two, LOOK.format(card.ip))
    assert "title" in await shell(pair.two, LOOK.format(await address(hypervisor, pair.one)))
    await network.destroy_rule(pair.walls["one"], rule)
    with pytest.raises(Conflict):
        await network.destroy_network(made.id)
    await network.destroy_interface(card.id)
    assert card.ip not in await shell(pair.one, "ip -o addr")
    await network.destroy_network(made.id)


async def test_a_held_address_leads_to_its_guest_and_outlives_the_server(
    hypervisor: Hypervisor, pair: Pair
) -> None:
    if not hypervisor.network.addresses_held:
        pytest.skip("nobody but root may listen at low ports here")
    held = await hypervisor.network.create_address(None)
    rule = await open_port(hypervisor, pair.walls["two"], WEB, "0.0.0.0/0")
    await hypervisor.network.associate(held.id, pair.two)
    assert TITLES["two"] in await page(held.ip, WEB)
    async with open_hypervisor(pair.root, pair.options) as other:
        assert (await other.network.records()).find(Address, held.id).guest_id == pair.two
        assert TITLES["two"] in await page(held.ip, WEB)
        await other.network.disassociate(held.id)
    assert await page(held.ip, WEB) == b""
    await hypervisor.network.destroy_rule(pair.walls["two"], rule)
    await hypervisor.network.destroy_address(held.id)


async def test_a_balancer_reaches_members_that_let_nobody_else_in_and_loses_no_request(
    hypervisor: Hypervisor, pair: Pair
) -> None:
    balancers = hypervisor.balancers
    made = await balancers.create(name="web", listeners=[("http", BALANCED, WEB)], token=None)
    await balancers.register(made.id, pair.one)
    assert TITLES["one"] in await page(made.ip, BALANCED)
    assert await published(hypervisor, pair.one) == b""
    answers: list[bytes] = []
    done = asyncio.Event()

    async def knock() -> None:
        while not done.is_set():
            answers.append(await page(made.ip, BALANCED))

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(knock())
        await balancers.register(made.id, pair.two)
        await balancers.unregister(made.id, pair.one)
        await until(lambda: any(TITLES["two"] in answer for answer in answers))
        await balancers.register(made.id, pair.one)
        await balancers.unregister(made.id, pair.two)
        done.set()
    assert all(any(title in answer for title in TITLES.values()) for answer in answers)
    await balancers.destroy(made.id)
    assert await page(made.ip, BALANCED) == b""


async def test_a_killed_haproxy_comes_back(hypervisor: Hypervisor, pair: Pair) -> None:
    made = await hypervisor.balancers.create(
        name="web", listeners=[("tcp", BALANCED, WEB)], token=None
    )
    await hypervisor.balancers.register(made.id, pair.one)
    for process in with_argument(str(pair.root / "balancers" / CONFIGURATION)):
        kill(process)
    await hypervisor.network.keep_house()
    async with asyncio.timeout(BOOT_S):
        while TITLES["one"] not in await page(made.ip, BALANCED):
            await hypervisor.network.keep_house()
    await hypervisor.balancers.destroy(made.id)


# Dies at the n-th of the calls that change something.
DYING = """
import asyncio, os, sys
from pathlib import Path
from nimbi.qemu import open_hypervisor
from nimbi.qemu.network import cards
from ipaddress import IPv4Network
from nimbi.qemu.balancers.haproxy import HAProxy
from nimbi.qemu.network.fabric import Fabric
from nimbi.qemu.network.records import RecordStore
from nimbi.qemu.options import Options

root, rung, addresses, balanced, what, at, *arguments = sys.argv[1:]
calls = 0

def dying(function):
    def before(*arguments, **named):
        global calls
        calls += 1
        if armed and calls == int(at):
            os._exit(9)
        return function(*arguments, **named)
    return before

armed = False
RecordStore.write = dying(RecordStore.write)
Fabric.apply = dying(Fabric.apply)
HAProxy._start = dying(HAProxy._start)
HAProxy._until = dying(HAProxy._until)
cards.plug = dying(cards.plug)
cards.unplug = dying(cards.unplug)

async def rule(hypervisor, wall):
    told = await hypervisor.network.create_rule(
        wall, protocol="tcp", first=80, last=80, sources=("0.0.0.0/0",), token="dying")
    await hypervisor.network.destroy_rule(wall, told.rules[-1].id)

async def card(hypervisor, guest, network):
    made = await hypervisor.network.create_interface(
        guest_id=guest, network_id=network, subnet_id=None, name=None, token="dying")
    await hypervisor.network.destroy_interface(made.id)

async def balancer(hypervisor, guest):
    made = await hypervisor.balancers.create(
        name="dying", listeners=[("tcp", 8080, 80)], token="dying")
    await hypervisor.balancers.register(made.id, guest)
    await hypervisor.balancers.unregister(made.id, guest)
    await hypervisor.balancers.destroy(made.id)

async def main():
    global armed, calls
    pools = {"addresses": IPv4Network(addresses), "balancer_addresses": IPv4Network(balanced)}
    async with open_hypervisor(Path(root), Options(network=rung, **pools)) as hypervisor:
        calls, armed = 0, True
        await globals()[what](hypervisor, *arguments)

asyncio.run(main())
"""


async def die(pair: Pair, what: str, at: int, *arguments: str) -> int:
    """Do something in a process that is ended at one of its steps, and return its exit code."""
    options = pair.options
    pools = (str(options.addresses), str(options.balancer_addresses))
    words = (str(pair.root), options.network, *pools, what, str(at), *arguments)
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", DYING, *words])
    return done.returncode


@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_after_a_kill_at_any_step_the_records_and_the_traffic_agree(
    pair: Pair, at: int
) -> None:
    wall = pair.walls["one"]
    assert await die(pair, "rule", at, wall) == DIED
    async with open_hypervisor(pair.root, pair.options) as again:
        rules = (await again.network.records()).firewalls[wall].rules
        extra = [rule for rule in rules if rule.first == WEB]
        assert (TITLES["one"] in await published(again, pair.one)) == bool(extra)
        for rule in extra:
            await again.network.destroy_rule(wall, rule.id)
        assert await published(again, pair.one) == b""


@pytest.mark.parametrize("at", range(1, 11))
async def test_after_a_kill_at_any_step_the_guest_has_the_cards_of_the_records(
    pair: Pair, at: int
) -> None:
    async with open_hypervisor(pair.root, pair.options) as before:
        made = await before.network.create_network(name=None, block="10.92.0.0/16", token="dying")
    if await die(pair, "card", at, pair.one, made.id) != DIED:
        pytest.skip("it takes fewer steps than that")
    async with open_hypervisor(pair.root, pair.options) as again:
        records = await again.network.records()
        cards = [card for card in records.cards.values() if card.network_id == made.id]
        assert not any(card.joining for card in cards)
        for card in cards:
            assert await has_card(again, pair, card.mac)
            await again.network.destroy_interface(card.id)
        seen = await again.run(pair.one, "ls /sys/class/net", pair.private_key)
        assert b"eth1" not in seen.out


async def has_card(hypervisor: Hypervisor, pair: Pair, mac: str) -> bool:
    look = f"for i in $(seq 50); do ip link | grep {mac} && break; sleep 0.2; done"
    return mac.encode() in (await hypervisor.run(pair.one, look, pair.private_key)).out


@pytest.mark.parametrize("at", range(1, 13))
async def test_after_a_kill_at_any_step_the_balancers_of_the_records_answer(
    pair: Pair, at: int
) -> None:
    if await die(pair, "balancer", at, pair.one) != DIED:
        pytest.skip("it takes fewer steps than that")
    async with open_hypervisor(pair.root, pair.options) as again:
        balancers = await again.balancers.all()
        for balancer in balancers:
            answer = await page(balancer.ip, BALANCED)
            assert (TITLES["one"] in answer) == (pair.one in balancer.guest_ids)
            await again.balancers.destroy(balancer.id)
        await again.network.keep_house()
        assert with_argument(str(pair.root / "balancers" / CONFIGURATION)) == []


async def test_a_guests_address_is_known_at_once_and_stays_over_a_restart(
    hypervisor: Hypervisor, pair: Pair, shell: Shell
) -> None:
    before = await address(hypervisor, pair.two)
    assert f"{before}/" in await shell(pair.two, "ip -o -4 addr")
    await hypervisor.stop(pair.two)
    await hypervisor.wait(pair.two, frozenset({State.STOPPED}), 60)
    await hypervisor.start(pair.two)
    await hypervisor.wait(pair.two, SETTLED, BOOT_S)
    assert f"{before}/" in await shell(pair.two, "ip -o -4 addr")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  what changes is another coroutine's list
            await asyncio.sleep(0.01)
