"""Processor, QEMU, KVM."""

import json
import os
import platform
import re

from nimbi.qemu.doctor.finding import Finding, Host, Verdict
from nimbi.qemu.errors import Missing, QemuError
from nimbi.qemu.host.engine import engine
from nimbi.qemu.host.programs import ARCHITECTURE

STREAM = (7, 2)
"""Since this version QEMU can give its network to passt. Source: QEMU's changelog for 7.2."""

NO_GUEST = "no guest can be run"
SLOW = "guests are emulated: they run, but about ten times slower"


async def processor(host: Host) -> Finding:
    """Look at the processor: guests are of the host's kind."""
    machine = platform.machine()
    count = os.cpu_count() or 1
    if machine != ARCHITECTURE:
        return Finding(
            verdict=Verdict.MISSING,
            found=machine,
            follows=NO_GUEST,
            mend=f"use a machine with {ARCHITECTURE} processors",
        )
    return Finding(found=f"{machine}, {count} processor{'s' if count > 1 else ''}")


async def program(host: Host) -> Finding:
    """Ask QEMU itself: it has to answer, and to be new enough for passt."""
    try:
        found = await engine()
    except Missing as error:
        return Finding(
            verdict=Verdict.MISSING,
            found="qemu-system-x86_64 is not installed",
            follows=NO_GUEST,
            mend=f"apt install {' '.join(error.packages)}",
        )
    except QemuError as error:
        return Finding(
            verdict=Verdict.MISSING,
            found=f"it does not run: {error}",
            follows=NO_GUEST,
            mend="apt install --reinstall qemu-system-x86",
        )
    told = f"QEMU {found.version}, new guests are {found.machine}"
    numbers = tuple(int(n) for n in re.findall(r"\d+", found.version)[:2])
    if numbers < STREAM:
        return Finding(
            verdict=Verdict.LIMITED,
            found=told,
            follows="guests without a network of the cloud have no outgoing traffic",
            mend=f"use a distribution with QEMU {'.'.join(map(str, STREAM))} or newer",
        )
    return Finding(found=told)


async def sandbox(host: Host) -> Finding:
    """Say whether QEMU can shut itself in by seccomp."""
    try:
        shut = (await engine()).sandbox
    except QemuError as error:
        return Finding(verdict=Verdict.LIMITED, found=f"not known: {error}")
    if shut:
        return Finding(found="QEMU shuts itself in by seccomp")
    return Finding(
        verdict=Verdict.LIMITED,
        found="this QEMU has no seccomp",
        follows="a guest that breaks out of QEMU may start programs as this user",
        mend="use the distribution's own QEMU, and a kernel with CONFIG_SECCOMP_FILTER",
    )


async def kvm(host: Host) -> Finding:
    """Look at the device, the right to open it, and what a guest that was booted so has shown."""
    device = host.system / "dev/kvm"
    if not device.exists():
        return _slow("there is no /dev/kvm", _why_no_device(host))
    if not os.access(device, os.R_OK | os.W_OK):
        return _slow(
            "/dev/kvm may not be opened by this user",
            "usermod -aG kvm USER, and log in anew",
        )
    told = _probed(host)
    if told is None:
        return Finding(found="/dev/kvm can be opened; the first guest will show whether it works")
    key, works, reason = told
    if works:
        return Finding(found=f"a guest has booted with it ({key}){_nested(host)}")
    return _slow(
        f"a guest did not boot with it ({key}): {reason}",
        "look at the host of this machine, if it is virtual; remove kvm.json of the state "
        "directory to try again",
    )


def _slow(found: str, mend: str) -> Finding:
    return Finding(verdict=Verdict.LIMITED, found=found, follows=SLOW, mend=mend)


def _why_no_device(host: Host) -> str:
    flags = set((host.read("proc/cpuinfo") or "").split())
    if flags & {"vmx", "svm"}:
        return "modprobe kvm_intel, or kvm_amd"
    if "hypervisor" in flags:
        return "this machine is virtual: let its host allow nested virtualization"
    return "switch virtualization (VT-x, AMD-V) on in the firmware"


def _probed(host: Host) -> tuple[str, bool, str] | None:
    try:
        told = json.loads((host.state / "kvm.json").read_bytes())
        return str(told["key"]), bool(told["works"]), " ".join(str(told["reason"]).split())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _nested(host: Host) -> str:
    for module in ("kvm_intel", "kvm_amd"):
        told = host.read(f"sys/module/{module}/parameters/nested")
        if told is not None:
            return f"; guests can{'' if told in {'1', 'Y'} else 'not'} use it themselves"
    return ""
