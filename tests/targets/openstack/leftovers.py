"""What the services leave on the machine when they end, and how it goes away."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.targets.openstack.hypervisor import WIRE
from tests.targets.openstack.settings import STATE

# Helpers of the agents; all have the state directory on their command line.
HELPERS = re.compile(rf"(dnsmasq|haproxy|radvd|privsep-helper) .*{re.escape(str(STATE))}/")


def clear() -> None:
    """End helpers, and remove namespaces, bridges, rules and mounts."""
    _end_helpers()
    _remove_links()
    for command in ("iptables", "ip6tables"):
        for table in ("raw", "mangle", "nat", "filter"):
            _remove_chains(command, table)
    for table in ("nat", "filter"):
        _remove_bridge_chains(table)
    for name in _lines("ipset", "list", "-n"):
        if re.match(r"N?IPv[46]", name):
            _try("ipset", "destroy", name)
    _unmount()


def _end_helpers() -> None:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if HELPERS.search(command) and int(place.name) != os.getpid():
                os.kill(int(place.name), signal.SIGTERM)
        except (OSError, ProcessLookupError):
            continue


def _remove_links() -> None:
    for line in _lines("ip", "netns", "list"):
        if re.match("(qrouter|qdhcp)-", line):
            _try("ip", "netns", "delete", line.split()[0])
    links = [re.split("[:@ ]+", line)[1] for line in _lines("ip", "-o", "link")]
    for name in links:
        if re.match("brq[0-9a-f]|tap[0-9a-f]{8}-", name):
            _try("ip", "link", "delete", name)
    _try("ip", "link", "delete", WIRE[0])


def _remove_chains(command: str, table: str) -> None:
    """Remove Neutron's rules, then its chains."""
    rules = [line for line in _lines(command, "-t", table, "-S") if "neutron" in line]
    for rule in reversed([rule for rule in rules if rule.startswith("-A ")]):
        _try(command, "-t", table, "-D", *shlex.split(rule.removeprefix("-A ")))
    for action in ("-F", "-X"):
        for chain in (rule.split()[1] for rule in rules if rule.startswith("-N ")):
            _try(command, "-t", table, action, chain)


def _remove_bridge_chains(table: str) -> None:
    chains = list(_bridge_chains(table))
    for chain in chains:
        if not chain.startswith("neutron"):
            for line in _lines("ebtables", "-t", table, "-L", chain):
                if "-j neutron" in line:
                    _try("ebtables", "-t", table, "-D", chain, *shlex.split(line))
    for action in ("-F", "-X"):
        for chain in chains:
            if chain.startswith("neutron"):
                _try("ebtables", "-t", table, action, chain)


def _bridge_chains(table: str) -> Iterator[str]:
    for line in _lines("ebtables", "-t", table, "-L"):
        if found := re.match("Bridge chain: ([^,]+),", line):
            yield found[1]


def _unmount() -> None:
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((m for m in mounted if m.startswith(f"{STATE}/")), reverse=True):
        if not _try("umount", place):
            _try("umount", "-l", place)


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def _try(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
