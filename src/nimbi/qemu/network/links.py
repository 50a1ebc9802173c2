"""The devices of a plan: from what is there to the script that makes it what shall be."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nimbi.qemu.network.nft import UPLINK
from nimbi.qemu.network.plan import METADATA, Plan, PlannedNetwork, mac

SIGN = "nimbi"
"""A bridge without ports: its alias says whose namespace it is in, and it has METADATA."""

KERNEL = "/proc/sys/net/ipv4"
ONCE = (
    f"echo 1 >{KERNEL}/ip_forward",
    f"echo 0 >{KERNEL}/conf/all/send_redirects",
    f"echo 0 >{KERNEL}/conf/default/send_redirects",
    f"echo 0 >{KERNEL}/conf/all/accept_redirects",
    f"echo 0 >{KERNEL}/conf/default/accept_redirects",
    # Not there when the kernel has no IPv6.
    "for all in /proc/sys/net/ipv6/conf/all /proc/sys/net/ipv6/conf/default; do",
    ' [ ! -e "$all/disable_ipv6" ] || echo 1 >"$all/disable_ipv6"',
    "done",
)
"""Settings of a new namespace."""

EACH_BRIDGE = (
    # Ports are isolated, so the bridge answers for every guest, at once: all traffic between
    # guests is routed here, through the packet filter.
    "echo 1 >{kernel}/conf/{bridge}/proxy_arp_pvlan",
    "echo 0 >{kernel}/neigh/{bridge}/proxy_delay",
    "echo 0 >{kernel}/conf/{bridge}/send_redirects",
)


def script(plan: Plan, sign: str, devices: Iterable[Mapping[str, Any]]) -> str:
    """Return a shell script that makes the devices of the plan, or an empty text.

    `devices` is what `ip -j -d address show` tells. A device is up only when it is complete, so
    that one that was cut short is found by being down. `sign` is hexadecimal.
    """
    there = {device["ifname"]: device for device in devices}
    lines = [*_sign(sign, there.get(SIGN)), *_gone(plan, there)]
    for network in plan.networks:
        lines += _bridge(network, there.get(network.bridge))
    for card in plan.cards:
        bridge = next(n.bridge for n in plan.networks if n.id == card.network_id)
        lines += _tap(card.tap, bridge, there.get(card.tap))
    return "\n".join(["set -e", *_batched(lines), ""]) if lines else ""


def _batched(lines: Iterable[str]) -> Iterator[str]:
    """Yield the script with all neighbouring commands of `ip` in one call."""
    batch: list[str] = []
    for line in [*lines, ""]:
        if line.startswith("ip "):
            batch.append(line.removeprefix("ip "))
            continue
        if batch:
            yield from ("ip -batch - <<'BATCH'", *batch, "BATCH")
            batch = []
        yield line


def _is_up(device: Mapping[str, Any] | None) -> bool:
    return device is not None and "UP" in device["flags"]


def _sign(sign: str, device: Mapping[str, Any] | None) -> Iterator[str]:
    if _is_up(device) and device and device.get("ifalias") == sign:
        return
    yield from ONCE
    yield "ip link set lo up"
    if device is None:
        yield f"ip link add {SIGN} type bridge"
    yield f"ip link set {SIGN} alias {sign}"
    yield f"ip address replace {METADATA}/32 dev {SIGN}"
    yield f"ip link set {SIGN} up"


def _gone(plan: Plan, there: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what removes devices that are not in the plan; taps first, as ports of bridges."""
    wanted = {n.bridge for n in plan.networks} | {card.tap for card in plan.cards} | {UPLINK, SIGN}
    for kind in ("tun", "bridge"):
        for name, device in there.items():
            if name not in wanted and device.get("linkinfo", {}).get("info_kind") == kind:
                yield f"ip link delete {name}"


def _bridge(network: PlannedNetwork, device: Mapping[str, Any] | None) -> Iterator[str]:
    name = network.bridge
    if device is None:
        yield f"ip link add {name} type bridge stp_state 0 mcast_snooping 0"
        # Without an address of its own it would change with its ports.
        yield f"ip link set {name} address {mac(name)}"
    wanted = {
        f"{gateway}/{subnet.prefixlen}"
        for gateway, subnet in zip(network.gateways, network.subnets, strict=True)
    }
    found = {f"{a['local']}/{a['prefixlen']}" for a in (device or {}).get("addr_info", ())}
    yield from (f"ip address delete {address} dev {name}" for address in sorted(found - wanted))
    yield from (f"ip address add {address} dev {name}" for address in sorted(wanted - found))
    if not _is_up(device):
        yield from (line.format(kernel=KERNEL, bridge=name) for line in EACH_BRIDGE)
        yield f"ip link set {name} up"


def _tap(name: str, bridge: str, device: Mapping[str, Any] | None) -> Iterator[str]:
    if device is None:
        # Who has user 0 in here may open it without any right over the network.
        yield f"ip tuntap add dev {name} mode tap user 0"
    if device is not None and device.get("master") != bridge:
        yield f"ip link set {name} down"
        device = None
    if not _is_up(device):
        yield f"ip link set {name} master {bridge}"
        yield f"ip link set {name} type bridge_slave isolated on"
        yield f"ip link set {name} up"
