"""The QEMU of this machine: its version, what it can do, and whether KVM really works."""

import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time
from typing import Any

from nimbi.qemu.errors import Failed, QemuError
from nimbi.qemu.host.files import locked, private_directory, write_json
from nimbi.qemu.host.programs import program, run
from nimbi.qemu.images.store import INITRD, KERNEL, Image

QEMU = "qemu-system-x86_64"
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
KVM_DEVICE = Path("/dev/kvm")
PROBE_S = 6.0
"""A guest that works under KVM has booted and powered off after about one second."""

ASK_AGAIN_S = 24 * 3600.0
"""A refusal is kept so long: a machine may only have been busy when it was probed."""

GREETING = b"".join(
    json.dumps({"execute": command}).encode() + b"\n"
    for command in ("qmp_capabilities", "query-version", "query-machines", "quit")
)
TCG = ("-accel", "tcg,tb-size=32", "-cpu", "max")
"""Without a size, the cache of translated code grows to 1 GiB a guest."""

KVM = ("-accel", "kvm", "-cpu", "host")
ACCELERATORS = {"tcg": TCG, "kvm": KVM}
KERNEL_OPTIONS = {"tcg": "no_timer_check", "kvm": ""}
"""Emulated timers tick too irregularly on a busy host for the kernel's check to pass."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What was found out about one QEMU program. `machine` is versioned, so that guests keep it."""

    version: str
    machine: str
    sandbox: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the probe of KVM found, for one QEMU version on one kernel. `at` is in Unix seconds."""

    key: str
    works: bool
    reason: str
    at: float


async def engine() -> Engine:
    """Ask the installed QEMU about itself. Raises Missing, or Failed when it does not run."""
    try:
        said, sandbox = await _ask("-sandbox", SANDBOX), True
    except Failed:
        said, sandbox = await _ask(), False
    answers = [json.loads(line) for line in said.splitlines()]
    version, machines = (answer["return"] for answer in answers if answer.get("return"))
    return Engine(version=_version(version), machine=_newest_pc(machines), sandbox=sandbox)


class InstalledEngine:
    """What the installed QEMU said of itself, asked again only when its program has changed."""

    def __init__(self) -> None:
        self._known: tuple[tuple[Path, int, int], Engine] | None = None

    async def get(self) -> Engine:
        """Return what `engine` does, and raise the same."""
        where = program(QEMU)
        facts = where.stat()
        key = (where, facts.st_mtime_ns, facts.st_size)
        if self._known is None or self._known[0] != key:
            self._known = (key, await engine())
        return self._known[1]


async def _ask(*more: str) -> bytes:
    quiet = ("-M", "none", "-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio")
    said = await run(QEMU, *quiet, *more, stdin=GREETING)
    return b"\n".join(line for line in said.splitlines() if b'"return"' in line)


def _version(answer: dict[str, Any]) -> str:
    numbers = answer["qemu"]
    return f"{numbers['major']}.{numbers['minor']}.{numbers['micro']} {answer['package']}".strip()


def _newest_pc(machines: list[dict[str, Any]]) -> str:
    for machine in machines:
        if machine.get("alias") == "pc":
            return str(machine["name"])
    raise Failed("this QEMU has no PC machine")


async def accelerator(root: Path, found: Engine, image: Image) -> str:
    """Return "kvm" when a guest really booted with it on this machine, and else "tcg".

    The answer is remembered below `root` for this QEMU and this kernel. A device that opens
    proves nothing: there are machines on which QEMU then aborts, or its guests stand still.
    """
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    key = f"qemu {found.version} on {platform.release()}"
    async with locked(private_directory(root / "locks") / "kvm-probe.lock"):
        verdict = _remembered(root / "kvm.json", key)
        if verdict is None:
            reason = await _refusal(found, image)
            verdict = Verdict(key=key, works=not reason, reason=reason, at=time())
            write_json(root / "kvm.json", asdict(verdict))
    return "kvm" if verdict.works else "tcg"


def _remembered(file: Path, key: str) -> Verdict | None:
    try:
        verdict = Verdict(**json.loads(file.read_bytes()))
    except (FileNotFoundError, TypeError, ValueError):
        return None
    fresh = verdict.works or time() - verdict.at < ASK_AGAIN_S
    return verdict if verdict.key == key and fresh else None


async def _refusal(found: Engine, image: Image) -> str:
    """Boot an image's kernel under KVM with nothing but a program that powers off.

    For an image that has none, another's beside it is taken. Returns why that failed, or an empty
    text. QEMU ends by itself with code 0 only when the guest got so far; a triple fault or panic
    resets or stands still, until the time is over.
    """
    arguments = ("-M", found.machine, *KVM, "-m", "128", "-nodefaults", "-no-user-config")
    places = [image.path, *image.path.parent.glob("img-*")]
    place = next((place for place in places if (place / KERNEL).exists()), None)
    if place is None:
        return "no image here has a kernel to probe with: build the demo image"
    boot = ("-kernel", place / KERNEL, "-initrd", place / INITRD)
    last = "quiet rdinit=/bin/busybox -- poweroff -f"
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            await run(
                *(QEMU, *arguments, *boot, "-append", last, "-display", "none"),
                within_s=PROBE_S,
                cwd=Path(nowhere),
            )
        except QemuError as error:
            return str(error)
    return ""
