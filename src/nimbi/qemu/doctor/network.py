"""What networks need of this machine, and which kind of them it gets."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from nimbi.qemu.doctor.finding import Finding, Host, Verdict
from nimbi.qemu.errors import Missing, QemuError
from nimbi.qemu.host.programs import program, run
from nimbi.qemu.network import passt, passt_trial
from nimbi.qemu.network.rungs import AUTO, Rung, choose

NO_NETWORKS = "without being root: no networks, only published ports"
SHUT_IN = "guests reach nothing outside, unless outgoing is set to true"
ALONE = "each guest alone: no networks, subnets, network interfaces and firewalls"
FIRST_PORT = 80
"""The lowest port that a load balancer or a static address is usually wanted at."""

SYSCTLS: tuple[tuple[str, Callable[[int], bool], str], ...] = (
    ("kernel.unprivileged_userns_clone", lambda told: told == 1, "1"),
    ("user.max_user_namespaces", lambda told: told > 0, "65536"),
    ("kernel.apparmor_restrict_unprivileged_userns", lambda told: told == 0, "0"),
)
"""Setting of the kernel, which values allow user namespaces, the one to set. Debian, Linux, Ubuntu.

Source: Debian's linux package; namespaces(7); Ubuntu 24.04 release notes.
"""


async def user_namespaces(host: Host) -> Finding:
    """Try, and do not guess, whether this user may make a network of its own."""
    reasons = forbidding(host)
    try:
        await run("unshare", "--user", "--map-root-user", "--net", "true")
    except Missing as error:
        return Finding(
            verdict=Verdict.LIMITED,
            found="unshare is not installed",
            follows=NO_NETWORKS,
            mend=f"apt install {' '.join(error.packages)}",
        )
    except QemuError as error:
        return Finding(
            verdict=Verdict.LIMITED,
            found=", ".join(name for name, _ in reasons) or str(error),
            follows=NO_NETWORKS,
            mend="; ".join(mend for _, mend in reasons) or "in a container: ask its host for them",
        )
    return Finding(found="they can be made")


def forbidding(host: Host) -> list[tuple[str, str]]:
    """Return the settings of the kernel that forbid user namespaces, each with how to set it."""
    return [reason for row in SYSCTLS if (reason := _forbids(host, *row))]


def _forbids(
    host: Host, name: str, allows: Callable[[int], bool], right: str
) -> tuple[str, str] | None:
    """Return what a sysctl says and how to set it, when it forbids; None when it does not."""
    told = host.read(f"proc/sys/{name.replace('.', '/')}")
    if told is None or not told.isdigit() or allows(int(told)):
        return None
    return f"{name} is {told}", f"sysctl -w {name}={right}"


async def tun(host: Host) -> Finding:
    """Look at the device that guests' network cards are made with."""
    device = host.system / "dev/net/tun"
    if not device.exists():
        return _no_tun("there is no /dev/net/tun", "modprobe tun; in a container: give it this")
    if os.access(device, os.R_OK | os.W_OK):
        mode = stat.S_IMODE(device.stat().st_mode)
        return Finding(found=f"/dev/net/tun can be opened (mode {mode:04o})")
    return _no_tun("/dev/net/tun may not be opened by this user", "chmod 0666 /dev/net/tun")


def _no_tun(found: str, mend: str) -> Finding:
    follows = "no networks, only published ports"
    return Finding(verdict=Verdict.LIMITED, found=found, follows=follows, mend=mend)


async def rung(host: Host) -> Finding:
    """Try the ladder of networks, as a server does at its start, and tell each refusal."""
    # What is found out is not remembered: nothing below the state directory is touched.
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            ladder = await choose(Path(nowhere), host.network)
        except QemuError as error:
            return Finding(
                verdict=Verdict.MISSING,
                found=str(error),
                follows="the local cloud can't be opened as it is set",
                mend=f'set network = "{AUTO}" in [drivers.local], or mend what is named',
            )
    refused = [f"{rung} is refused: {why}" for rung, why in ladder.refusals.items()]
    found = "; ".join([f"{ladder.rung}{' as it is set' if ladder.forced else ''}", *refused])
    if ladder.rung is not Rung.USER:
        return Finding(found=found)
    return Finding(
        verdict=Verdict.LIMITED,
        found=found,
        follows=ALONE,
        mend=f'set network = "{AUTO}"' if ladder.forced else "mend what is refused, or run as root",
    )


async def outgoing(host: Host) -> Finding:
    """Say whether guests reach the outside, by trying what they would do it with."""
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            ladder = await choose(Path(nowhere), host.network)
            alone = ladder.rung is Rung.USER
            way = "passt" if alone else "pasta"
            program(way)
        except Missing as error:
            return _shut_in(str(error), f"apt install {' '.join(error.packages)}")
        except QemuError as error:
            return _shut_in(str(error), "mend the network first")
        why = await passt_trial.refusal(Path(nowhere), passt.NETWORK) if alone else ""
    return _shut_in(why, "use a newer passt, or mend the network") if why else Finding(found=way)


def _shut_in(found: str, mend: str) -> Finding:
    return Finding(verdict=Verdict.LIMITED, found=found, follows=SHUT_IN, mend=mend)


async def ports(host: Host) -> Finding:
    """Say whether this user may listen on ports such as 80."""
    told = host.read("proc/sys/net/ipv4/ip_unprivileged_port_start") or "1024"
    if host.uid == 0 or int(told) <= FIRST_PORT:
        return Finding(found="all can be listened on")
    return Finding(
        verdict=Verdict.LIMITED,
        found=f"those below {told} are root's",
        follows="load balancers and static addresses can't have them",
        mend=f"sysctl -w net.ipv4.ip_unprivileged_port_start={FIRST_PORT}",
    )
