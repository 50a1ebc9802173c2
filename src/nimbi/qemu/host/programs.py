"""Programs of the distribution: where they are, which package brings them, how they are run."""

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from nimbi.qemu.errors import Failed, Missing
from nimbi.qemu.host.execution import execute

PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "busybox": "busybox-static",
    "dropbear": "dropbear-bin",
    "dropbearkey": "dropbear-bin",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "resize2fs": "e2fsprogs",
    "ldd": "libc-bin",
    "sh": "dash",
    "ssh": "openssh-client",
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
    "zstd": "zstd",
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "sgdisk": "gdisk",
    "mformat": "mtools",
    "mmd": "mtools",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "prlimit": "util-linux",
    "env": "coreutils",
    "true": "coreutils",
    "rm": "coreutils",
    "tail": "coreutils",
    "ip": "iproute2",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "nsenter": "util-linux",
    "pasta": "passt",
    "passt": "passt",
    "haproxy": "haproxy",
    "qemu-ga": "qemu-guest-agent",
}
"""Program: the Debian and Ubuntu package that brings it."""

PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "APT_CONFIG"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
"""Environment variables that programs get: the others may hold secrets, and guests live long."""

ARCHITECTURE = "x86_64"
SAID_AT_MOST = 2000
"""Characters of a program's error output that are repeated in our own error."""


def program(name: str) -> Path:
    """Return the path of a program, looked up at each call.

    System directories beside those of PATH are searched too: a user's PATH on Debian lacks
    /usr/sbin, where mke2fs and dropbear are. Raises Missing.
    """
    directories = os.environ.get("PATH", "").split(os.pathsep)
    beside = [d[: -len("bin")] + "sbin" for d in directories if d.endswith("/bin")]
    found = shutil.which(name, path=os.pathsep.join([*directories, *beside]))
    if not found:
        raise Missing(name, PACKAGES[name])
    return Path(found)


def require(names: Sequence[str]) -> None:
    """Raise Missing, naming every package that lacks, unless all programs are there."""
    lacking: dict[str, str] = {}
    for name in names:
        try:
            program(name)
        except Missing:
            lacking[name] = PACKAGES[name]
    if lacking:
        raise Missing(", ".join(lacking), *dict.fromkeys(lacking.values()))


def require_architecture() -> None:
    """Raise Missing on a machine for which no guest can be built."""
    if platform.machine() != ARCHITECTURE:
        raise Missing(
            f"a {ARCHITECTURE} host (this one is {platform.machine()})", "qemu-system-x86"
        )


async def run(
    name: str,
    *arguments: str | Path,
    cwd: Path | None = None,
    within_s: float = 60,
    stdin: bytes = b"",
) -> bytes:
    """Run a program to its end and return what it printed.

    The program gets an English locale and its own session, so that a Ctrl-C meant for the server
    does not tear it. It is killed when time runs out or the caller is cancelled.
    Raises Missing, Failed (with the end of its error output) and TimedOut.
    """
    ended = await execute(
        [program(name), *arguments],
        environment=environment(),
        within_s=within_s,
        cwd=cwd,
        stdin=stdin,
    )
    if ended.exit_code:
        said = ended.err.decode("utf-8", "replace").strip()[-SAID_AT_MOST:]
        raise Failed(f"{name} failed with exit code {ended.exit_code}: {said}")
    return ended.out


def environment() -> dict[str, str]:
    """Return the environment for programs: what they need, and English for what they print."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LC_ALL": "C"}
