"""passt: a guest's own way to the outside, which never leads to the host's loopback."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from nimbi.qemu.errors import Failed, TimedOut
from nimbi.qemu.guests.record import ADDRESS
from nimbi.qemu.host.programs import program
from nimbi.qemu.network import daemons

PASST = "passt"
SOCKET = "passt.sock"
PID = "passt.pid"
LOG = "passt.log"
START_S = 10.0
LOOK_EVERY_S = 0.02

# The addresses that QEMU's own user-mode network gives, so that a guest finds the same on both.
NETWORK = (
    *("--ipv4-only", "--address", "10.0.2.15", "--netmask", "24", "--gateway", "10.0.2.2"),
    *("--dns", "10.0.2.3", "--dns-forward", "10.0.2.3", "--mtu", "1500"),
    *("--no-map-gw", "--udp-ports", "none"),
)
"""Source: passt(1). Without --no-map-gw the gateway's address would be the host's loopback."""


async def start(directory: Path, ports: Mapping[int, int]) -> None:
    """Start passt for the guest of this directory, in place of one that may be there.

    It listens at `ports`, {port of the guest: port of the host}, and ends with the guest's QEMU,
    once that has come. Raises Missing, Failed, TimedOut.
    """
    await end(directory)
    (directory / SOCKET).unlink(missing_ok=True)
    published = [
        argument
        for guest, host in ports.items()
        for argument in ("--tcp-ports", f"{ADDRESS}/{host}:{guest}")
    ] or ["--tcp-ports", "none"]
    # passt leaves root behind for a user who may not enter the guest's directory.
    user = ("--runas", "0") if os.geteuid() == 0 else ()
    process = await daemons.start(
        [
            *(program(PASST), "--foreground", "--quiet", "--one-off", *user, *NETWORK, *published),
            *("--socket", SOCKET, "--pid", directory / PID),
        ],
        directory / LOG,
    )
    try:
        async with asyncio.timeout(START_S):
            while not (directory / SOCKET).exists():
                if not daemons.is_alive(process):
                    raise Failed(f"passt did not start: {daemons.words(directory / LOG)}")
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        await daemons.stop(process)
        raise TimedOut(f"passt did not listen within {START_S:g} s") from None


async def end(directory: Path) -> None:
    """End the passt of this directory's guest, if one runs."""
    if not (directory / LOG).exists():
        return
    for daemon in await asyncio.to_thread(daemons.found, str(directory / PID)):
        with contextlib.suppress(Failed):
            await daemons.stop(daemon.process)
