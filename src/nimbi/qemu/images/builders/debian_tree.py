"""The files of a Debian guest, put together by mmdebstrap from the distribution's packages."""

import asyncio
import contextlib
import hashlib
import os
import platform
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from shlex import quote

from nimbi.qemu.errors import Failed, Missing
from nimbi.qemu.host.files import private_directory, sha256
from nimbi.qemu.host.leash import run_as_root
from nimbi.qemu.host.programs import SAID_AT_MOST, program, run
from nimbi.qemu.images.builders.kernel import Progress

DISTRIBUTION = "debian"
SUITE = "bookworm"
"""Used where the host itself is no Debian."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "systemd-resolved", "udev"),
    *("dbus", "libpam-systemd", "cloud-init", "cloud-guest-utils", "fdisk", "isc-dhcp-client"),
    *("openssh-server", "qemu-guest-agent", "iproute2", "iputils-ping", "netbase", "procps"),
    *("sudo", "ca-certificates", "less"),
)
FILES = {
    "cloud.cfg": ("etc/cloud/cloud.cfg.d/90_nimbi.cfg", 0o644),
    "cards.network": ("etc/systemd/network/90-nimbi.network", 0o644),
    "wait-online.conf": (
        "etc/systemd/system/systemd-networkd-wait-online.service.d/nimbi.conf",
        0o644,
    ),
    "ready.service": ("etc/systemd/system/nimbi-ready.service", 0o644),
    "ready": ("usr/lib/nimbi/ready", 0o755),
    "boot-files": ("etc/kernel/postinst.d/zz-nimbi", 0o755),
    "initramfs.conf": ("etc/initramfs-tools/conf.d/nimbi.conf", 0o644),
    "modules": ("usr/share/initramfs-tools/modules.d/nimbi", 0o644),
}
"""File of the `debian` directory of this package: its place in the guest, its mode."""

HOOKS = {"essential": "fill", "customize": "seal"}
"""Scripts that mmdebstrap calls with the tree: before the packages, and after them."""

NOT_INSTALLED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
OPTIONS = (
    *("--mode=root", "--variant=minbase", "--format=directory", "--architectures=amd64"),
    *(f"--dpkgopt=path-exclude={path}" for path in NOT_INSTALLED),
    *("--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=force-unsafe-io"),
    *('--aptopt=Acquire::Languages "none"', '--aptopt=APT::Sandbox::User "root"'),
)
NOT_FETCHED = "E: Failed to fetch"
INSTALL_S = 3600.0
LOOK_EVERY_S = 0.3

STEPS = (
    ("running apt-get update", "asking the distribution for its packages", 0.02),
    ("downloading packages", "downloading packages", 0.06),
    ("extracting archives", "unpacking the base system", 0.12),
    ("installing essential", "installing the base system", 0.18),
    ("installing remaining", "installing kernel, ssh and cloud-init", 0.25),
    ("cleaning package lists", "cleaning up", 0.82),
)
"""What mmdebstrap says, what is told of it, and the share of the whole build that is done."""


def require_keys() -> None:
    """Raise Missing unless Debian's keys are on this host."""
    if not KEYRING.exists():
        raise Missing("Debian's archive keys", "debian-archive-keyring")


def suite() -> str:
    """Return the Debian release that the guest gets: the host's own, where it is a Debian."""
    about = _host()
    return about.get("VERSION_CODENAME", SUITE) if about.get("ID") == DISTRIBUTION else SUITE


def _host() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


async def sources() -> list[str]:
    """Return lines for apt: where this host itself gets Debian from; none where it is no Debian.

    Only what calls itself Debian is taken: other sources of the host are its own affair. Without
    any, mmdebstrap knows where Debian is to be had.
    """
    wanted = ("Created-By: Packages", "Origin: Debian")
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    said = (await run("apt-get", "indextargets", "--format", form, *wanted)).decode()
    places = sorted(set(said.splitlines())) if _host().get("ID") == DISTRIBUTION else []
    return [f"deb [arch=amd64 signed-by={KEYRING}] {place}" for place in places]


async def recipe(places: Iterable[str]) -> str:
    """Return what changes whenever another image would come out, as far as this host knows.

    That is the host's own lists of packages; without any, the day.
    """
    digest = hashlib.sha256(repr((suite(), PACKAGES, OPTIONS, sorted(places))).encode())
    for name in sorted([*FILES, *HOOKS.values()]):
        digest.update(_text(name))
    said = await run("apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages")
    lists = [Path(line) for line in said.decode().splitlines()]
    for file in sorted(file for file in lists if file.exists()):
        digest.update((await asyncio.to_thread(sha256, file)).encode())
    if not lists:
        digest.update(datetime.now(UTC).date().isoformat().encode())
    return digest.hexdigest()


async def install(work: Path, places: Sequence[str], progress: Progress) -> Path:
    """Return a directory below `work` with all files of the guest, owned as in the guest.

    Where we are not root, that holds within our own namespace only. Raises Failed, TimedOut.
    """
    tree, log = work / "tree", work / "mmdebstrap.log"
    files, scratch = private_directory(work / "files"), private_directory(work / "tmp")
    await asyncio.to_thread(_write, files, work)
    sources = work / "sources"
    sources.write_text("".join(f"{place}\n" for place in places))
    hooks = [
        f'--{hook}-hook=NIMBI_FILES={quote(str(files))} sh {quote(str(work / script))} "$1"'
        for hook, script in HOOKS.items()
    ]
    include = f"--include={','.join(PACKAGES)}"
    options = (*OPTIONS, include, *hooks, f"--logfile={log}")
    places_at: tuple[str | Path, ...] = (suite(), tree, sources)[: 3 if places else 2]
    async with _told(log, progress):
        try:
            # What it leaves behind when it is killed goes with the workspace.
            mmdebstrap = ("env", f"TMPDIR={scratch}", program("mmdebstrap"))
            await run_as_root(*mmdebstrap, *options, *places_at, within_s=INSTALL_S)
        except Failed as error:
            raise _explained(await asyncio.to_thread(_said, log)) from error
    return tree


def _explained(said: str) -> Failed:
    """Return the error that says why mmdebstrap gave up, from its log."""
    words = "mmdebstrap failed:"
    if NOT_FETCHED in said:
        words = "Debian's packages can't be fetched: is this machine online, are its sources right?"
    found = [line for line in said.splitlines() if line.startswith("E: ")] or said.splitlines()
    return Failed(f"{words} {' '.join(found)[:SAID_AT_MOST]}")


def _text(name: str) -> bytes:
    return (resources.files("nimbi.qemu.images.builders") / "debian" / name).read_bytes()


def _write(files: Path, work: Path) -> None:
    for name, (place, mode) in FILES.items():
        target = files / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_text(name))
        target.chmod(mode)
    after = files / "etc/initramfs/post-update.d/zz-nimbi"
    after.parent.mkdir(parents=True)
    after.write_bytes(_text("boot-files"))
    after.chmod(0o755)
    for directory in (path for path in files.rglob("*") if path.is_dir()):
        directory.chmod(0o755)
    for name in HOOKS.values():
        (work / name).write_bytes(_text(name))


@asynccontextmanager
async def _told(log: Path, progress: Progress) -> AsyncGenerator[None]:
    """Tell of the steps that mmdebstrap writes to its log, while this is entered."""
    task = asyncio.create_task(_follow(log, progress))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(log: Path, progress: Progress) -> None:
    told = 0
    while told < len(STEPS):
        said = await asyncio.to_thread(_said, log)
        for mark, step, share in STEPS[told:]:
            if mark in said:
                progress(step, share)
                told += 1
        await asyncio.sleep(LOOK_EVERY_S)


def _said(log: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return log.read_text("utf-8", "replace")
    return ""


def needed() -> tuple[str, ...]:
    """Return the programs that this takes on this host."""
    plain = ("mmdebstrap", "apt-get", "setpriv", "unshare")
    return plain if os.geteuid() == 0 else (*plain, "newuidmap")
