"""Programs that must not outlive us, and those that read what a stranger has made."""

import asyncio
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nimbi.qemu.host.programs import environment, program, run

LEASH = ("setpriv", "--pdeathsig", "KILL", "--")
"""Ends the program with us, even when we are killed. Otherwise it would write on in a directory
that the next server clears."""

OWN_NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--")
MAPPED_NAMESPACE = ("unshare", "--user", "--map-auto", "--map-root-user", *OWN_NAMESPACE[1:])
"""As root inside: our own user. Its other users are those that /etc/subuid gives us."""

NO_NETWORK = ("unshare", "--net", "--")
NO_NETWORK_MAPPED = ("unshare", "--user", "--net", "--")
PROBE_S = 10


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a program may use: bytes of address space, seconds of processor, bytes a file."""

    memory_bytes: int = 2**31
    cpu_s: int = 600
    file_bytes: int = 0


async def run_leashed(*arguments: str | Path, within_s: float = 60) -> bytes:
    """Run a program as `programs.run` does; it ends with us at the latest."""
    return await run(*LEASH, *_found(arguments), within_s=within_s)


async def run_as_root(*arguments: str | Path, within_s: float = 60) -> bytes:
    """Run a program so as root of a namespace, whose processes all end together.

    Files that it makes for root belong to us outside.
    """
    return await run(*LEASH, *as_root(*arguments), within_s=within_s)


def as_root(*arguments: str | Path) -> list[str | Path]:
    """Return a command line that runs as root of a namespace."""
    own = OWN_NAMESPACE if os.geteuid() == 0 else MAPPED_NAMESPACE
    return [*_found(own), *_found(arguments)]


async def confined(limits: Limits, *arguments: str | Path) -> list[str | Path]:
    """Return a command line for reading what nobody vouches for: bounded, without a network.

    Where the system allows no network namespace, the bounds alone hold.
    """
    bounds = {"as": limits.memory_bytes, "cpu": limits.cpu_s, "fsize": limits.file_bytes, "core": 0}
    options = (f"--{name}={value}" for name, value in bounds.items())
    alone = await asyncio.to_thread(_no_network)
    return [
        program(LEASH[0]),
        *LEASH[1:],
        *_found(alone),
        program("prlimit"),
        *options,
        *_found(arguments),
    ]


def _found(arguments: tuple[str | Path, ...]) -> tuple[str | Path, ...]:
    """Return the arguments with the program, when there is one, as a whole path."""
    return (program(str(arguments[0])), *arguments[1:]) if arguments else ()


@cache
def _no_network() -> tuple[str, ...]:
    way = NO_NETWORK if os.geteuid() == 0 else NO_NETWORK_MAPPED
    command = [program(way[0]), *way[1:], program("true")]
    tried = subprocess.run(  # noqa: S603
        command, env=environment(), capture_output=True, timeout=PROBE_S, check=False
    )
    return way if tried.returncode == 0 else ()


def clear(place: Path) -> None:
    """Remove a directory whole, also what others of our namespace's users own in it."""
    shutil.rmtree(place, ignore_errors=True)
    if place.exists() and os.geteuid() != 0:
        command = as_root("rm", "-rf", "--", place)
        subprocess.run(command, env=environment(), capture_output=True, check=False)  # noqa: S603
