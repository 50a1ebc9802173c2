"""Probes: what counts as an answer, and where none of them ever goes."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.broker.health.ward import LOCAL, OK, Machine, certificate, standing

from nimbi.broker.health.probing import Prober
from nimbi.model.checks import Probe, ProbeKind, Side
from nimbi.model.errors import Invalid
from nimbi.model.instances import AddressKind, Endpoint, Instance, InstanceState, Login
from nimbi.wire.destinations import Reach

TCP, HTTP, SSH = ProbeKind.TCP, ProbeKind.HTTP, ProbeKind.SSH


def instance(*public: str, private: Sequence[str] = (), login: Login | None = None) -> Instance:
    return Instance(
        id="i",
        name="web",
        owner_id=None,
        image_id="img1",
        realm_id=None,
        hardware_profile_id=None,
        state=InstanceState.RUNNING,
        public_addresses=tuple(map(Endpoint, public)),
        private_addresses=tuple(map(Endpoint, private)),
        login=login,
    )


HERE = instance(LOCAL)
NEAR = Prober(Reach.PRIVATE)


async def says(probe: Probe, at: Instance = HERE, prober: Prober = NEAR) -> tuple[bool | None, str]:
    outcome = await prober.ask(probe, at)
    return outcome.is_good, outcome.problem.code if outcome.problem else ""


@pytest.mark.parametrize(
    ("answer", "statuses", "is_good"),
    [
        (OK, (200,), True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (200, 204), True),
        (b"HTTP/1.1 500 Oh\r\n\r\n", (200,), False),
        # Where it points to is not asked: that may be anywhere.
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", (200,), False),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1_000_000, (200,), True),
        (b"SSH-2.0-OpenSSH\r\n", (200,), False),
        (b"HTTP/1.1 200", (200,), False),
        (b"", (200,), False),
        (b"x" * 200_000, (200,), False),
    ],
)
async def test_http_is_well_with_an_expected_status(
    answer: bytes, statuses: tuple[int, ...], is_good: bool
) -> None:
    async with standing(Machine(answer=answer)) as machine:
        probe = Probe(kind=HTTP, port=machine.port, statuses=statuses, path="/up?x=1", host="a.b")
        assert (await says(probe))[0] is is_good
        assert machine.taken[0].startswith(b"GET /up?x=1 HTTP/1.1\r\nHost: a.b\r\n")


@pytest.mark.parametrize(
    ("greeting", "is_good"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", True),
        (b"welcome\r\nto this machine\r\nSSH-2.0-x\r\n", True),
        (b"SSH-1.5-old\r\n", False),
        (b"220 mail.example ESMTP\r\n" * 60, False),
        (b"x" * 100_000, False),
    ],
)
async def test_ssh_is_well_when_it_greets(greeting: bytes, is_good: bool) -> None:
    async with standing(Machine(greeting=greeting, answer=b"")) as machine:
        port = Probe(kind=SSH, port=machine.port, timeout_s=0.5)
        own = Probe(kind=SSH, timeout_s=0.5)
        at = instance(LOCAL, login=Login(user="u", port=machine.port))
        assert (await says(port))[0] is is_good
        assert (await says(own, at))[0] is is_good


async def test_a_closed_port_and_a_mute_machine_are_bad(machine: Machine) -> None:
    machine.is_mute = True
    assert await says(Probe(kind=HTTP, port=machine.port, timeout_s=0.2)) == (False, "timeout")
    assert await says(Probe(kind=TCP, port=machine.port)) == (True, "")
    async with standing(Machine()) as gone:
        port = gone.port
    assert await says(Probe(kind=TCP, port=port)) == (False, "unreachable")


async def test_tls_is_looked_at_when_a_host_is_named(tmp_path: Path) -> None:
    _, context = certificate(tmp_path, "shop.example")
    async with standing(Machine(), context) as machine:
        port = machine.port
        assert await says(Probe(kind=HTTP, port=port, tls=True)) == (True, "")
        named = Probe(kind=HTTP, port=port, tls=True, host="shop.example")
        assert await says(named) == (False, "tls")
    async with standing(Machine(answer=b"no TLS here")) as machine:
        assert (await says(Probe(kind=HTTP, port=machine.port, tls=True)))[0] is False


async def test_any_of_several_addresses_will_do_and_public_ones_come_first(
    machine: Machine,
) -> None:
    probe = Probe(kind=TCP, port=machine.port)
    assert (await says(probe, instance("127.0.0.2", LOCAL)))[0]
    assert (await says(probe, instance(private=[LOCAL])))[0]
    only = Probe(kind=TCP, port=machine.port, side=Side.PUBLIC)
    assert await says(only, instance(private=[LOCAL])) == (None, "out_of_reach")
    mac = Endpoint("02:00:00:00:00:01", AddressKind.MAC)
    odd = msgspec.structs.replace(instance(), public_addresses=(mac,))
    assert await says(probe, odd) == (None, "out_of_reach")


async def test_an_address_with_a_port_of_its_own_is_asked_there(machine: Machine) -> None:
    machine.answer = OK
    forwarded = Endpoint(LOCAL, AddressKind.IPV4, machine.port)
    at = msgspec.structs.replace(instance(), public_addresses=(forwarded,))
    assert (await says(Probe(kind=ProbeKind.HTTP), at))[0]


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("169.254.169.254", Reach.PRIVATE),
        ("100.100.100.200", Reach.PRIVATE),
        ("fd00:ec2::254", Reach.PRIVATE),
        ("::ffff:169.254.169.254", Reach.PRIVATE),
        (LOCAL, Reach.PUBLIC),
        ("10.0.0.5", Reach.PUBLIC),
        ("::1", Reach.PUBLIC),
        ("0.0.0.0", Reach.PUBLIC),
    ],
)
async def test_a_cloud_that_tells_a_foreign_address_has_nothing_asked(
    address: str, reach: Reach, machine: Machine
) -> None:
    probe = Probe(kind=HTTP, port=machine.port)
    assert await says(probe, instance(address), Prober(reach)) == (None, "out_of_reach")

    async def rebound(_host: str, _port: int) -> tuple[str, ...]:
        return ("93.184.215.14", address)

    named = instance("shop.example")
    assert await says(probe, named, Prober(reach, rebound)) == (None, "out_of_reach")
    assert machine.taken == []


async def test_a_name_is_looked_up_once_so_that_it_cannot_turn_meanwhile(machine: Machine) -> None:
    asked: list[str] = []

    async def turning(host: str, _port: int) -> tuple[str, ...]:
        asked.append(host)
        return (LOCAL,) if len(asked) == 1 else ("169.254.169.254",)

    probe = Probe(kind=HTTP, port=machine.port)
    assert await says(probe, instance("shop.example"), Prober(Reach.PRIVATE, turning)) == (True, "")
    assert asked == ["shop.example"]


@pytest.mark.parametrize(
    "probe",
    [
        Probe(kind=TCP),
        Probe(kind=HTTP, host="a\r\nX-Evil: 1"),
        Probe(kind=HTTP, host="a b"),
        Probe(kind=HTTP, host="a/b"),
        Probe(kind=HTTP, host=""),
    ],
)
def test_a_probe_that_says_more_than_it_should_is_refused(probe: Probe) -> None:
    with pytest.raises(Invalid):
        probe.check()
