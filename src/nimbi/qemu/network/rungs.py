"""The ladder: which kind of network this machine allows, found out by trying."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Invalid, Missing, QemuError, Unsupported
from nimbi.qemu.host.engine import QEMU
from nimbi.qemu.host.files import locked, private_directory, write_json
from nimbi.qemu.host.process import boot_id
from nimbi.qemu.host.programs import program, require, run
from nimbi.qemu.network import nft
from nimbi.qemu.network.plan import FIRST_SLOT, Card, Plan, PlannedNetwork, mac

AUTO = "auto"
RECORD = "rungs.json"
NEEDED = ("unshare", "nsenter", "setpriv", "ip", "nft", "dnsmasq", "sh", "tail")
TRIAL_S = 20.0


class Rung(StrEnum):
    """A kind of network, the least one first.

    `user`: each guest alone, with published ports. `userns`: everything, in a user namespace that
    needs no rights. `root`: everything, as root.
    """

    USER = "user"
    USERNS = "userns"
    ROOT = "root"


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """What was found. `rung` is the one in use, `refusals` is {rung: why this machine has it not}.

    `forced` says that a setting chose it.
    """

    rung: Rung
    forced: bool
    refusals: Mapping[Rung, str]


# Each step is told before it is tried, so that the end of what is said names what does not work.
TRIAL = """
set -e
say() {{ echo "step: $*" | tee /dev/stderr; }}
say "making a bridge"
ip link add {bridge} type bridge
ip link set {bridge} up
say "making a tap device by /dev/net/tun"
ip tuntap add dev {tap} mode tap user 0
say "isolating a port of a bridge"
ip link set {tap} master {bridge}
ip link set {tap} type bridge_slave isolated on
ip link set {tap} up
say "changing settings below /proc/sys/net"
echo 1 >/proc/sys/net/ipv4/conf/{bridge}/proxy_arp_pvlan
echo 0 >/proc/sys/net/ipv4/neigh/{bridge}/proxy_delay
echo 1 >/proc/sys/net/ipv4/ip_forward
say "filtering connections by nft"
nft -f - <<'RULES'
{rules}
RULES
say "running dnsmasq"
dnsmasq --test --conf-file=/dev/null
say "using a tap device by QEMU without rights over the network"
setpriv --bounding-set=-all --inh-caps=-all --no-new-privs {qemu} -M none -nodefaults \\
  -no-user-config -display none -qmp stdio \\
  -netdev tap,id=net,ifname={tap},script=no,downscript=no <<'QMP'
{{"execute": "qmp_capabilities"}}
{{"execute": "quit"}}
QMP
say done
"""


async def choose(root: Path, wanted: str) -> Ladder:
    """Return the rung to use: the highest that works, or `wanted` unless that is "auto".

    A success is remembered below `root` for this run of this machine and these programs; a
    refusal is tried again each time. Raises Invalid for a rung that there is not, and Unsupported
    with the reason when the wanted one does not work.
    """
    if wanted not in (AUTO, *Rung):
        raise Invalid(f"network is {wanted!r}, not one of auto, {', '.join(Rung)}")
    refusals: dict[Rung, str] = {}
    for rung in (Rung.ROOT, Rung.USERNS, Rung.USER) if wanted == AUTO else (Rung(wanted),):
        refusal = await refusal_of(root, rung)
        if not refusal:
            return Ladder(rung=rung, forced=wanted != AUTO, refusals=refusals)
        refusals[rung] = refusal
    raise Unsupported(f"the network {wanted!r} does not work here: {refusals[Rung(wanted)]}")


async def refusal_of(root: Path, rung: Rung) -> str:
    """Return why a rung does not work on this machine, or an empty text when it does."""
    if rung is Rung.USER:
        return ""
    if rung is Rung.ROOT and os.geteuid() != 0:
        return "this is not root"
    try:
        require((*NEEDED, QEMU))
    except Missing as error:
        return str(error)
    directory = private_directory(root / "network")
    async with locked(private_directory(root / "locks") / "rungs.lock"):
        key = await asyncio.to_thread(_key)
        works = _remembered(directory / RECORD, key)
        if rung in works:
            return ""
        refusal = await _try(rung)
        if not refusal:
            write_json(directory / RECORD, {"key": key, "works": [*works, rung]})
        return refusal


def _key() -> list[Any]:
    """Return what the answers depend on: this boot, this user, these very programs."""
    programs = [program(name) for name in (*NEEDED, QEMU)]
    stats = [[str(path), path.stat().st_mtime_ns, path.stat().st_size] for path in programs]
    return [boot_id(), os.geteuid(), stats]


def _remembered(file: Path, key: list[Any]) -> list[str]:
    try:
        record = json.loads(file.read_bytes())
        return list(record["works"]) if record["key"] == key else []
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return []


async def _try(rung: Rung) -> str:
    user = ("--user", "--map-root-user") if rung is Rung.USERNS else ()
    try:
        said = await run(
            *("unshare", *user, "--net", "--", program("sh"), "-s"),
            stdin=trial().encode(),
            within_s=TRIAL_S,
        )
    except QemuError as error:
        return _reason(str(error))
    return "" if b"step: done" in said else _reason(said.decode("utf-8", "replace"))


def _reason(said: str) -> str:
    """Return the step that was tried last, and what was said about it."""
    step, _, words = said.rpartition("step: ")[2].partition("\n")
    return " ".join(f"{step}: {words}".split())[:500]


def trial() -> str:
    """Return the script that tries everything a fabric needs, in a namespace of its own."""
    network = PlannedNetwork(id="trial", subnets=(IPv4Network("10.83.0.0/24"),))
    card = Card(
        guest_id="trial",
        slot=FIRST_SLOT,
        network_id="trial",
        mac=mac("trial"),
        ip=IPv4Address("10.83.0.2"),
    )
    return TRIAL.format(
        bridge=network.bridge,
        tap=card.tap,
        rules=nft.ruleset(Plan(networks=(network,), cards=(card,))),
        qemu=QEMU,
    )
