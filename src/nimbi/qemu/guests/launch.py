"""Starting a QEMU that does not depend on us."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from nimbi.qemu.errors import Failed, TimedOut
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import AGENT, EVENTS, LOG, QMP, SERIAL, VNC
from nimbi.qemu.host.process import Process, alive, identify, kill
from nimbi.qemu.host.programs import SAID_AT_MOST, program, run

# QEMU's own -daemonize forks after its sandbox is shut, and is ended by it. This shell leaves
# QEMU behind as an orphan, so that whoever runs us needs not reap it.
ORPHAN = f'"$@" </dev/null >{LOG} 2>&1 & echo $!'
SOCKETS = (QMP, EVENTS, SERIAL, VNC, AGENT)
LAUNCH_S = 30.0
LOOK_EVERY_S = 0.02


async def launch(arguments: Sequence[str | Path], directory: Path) -> Process:
    """Start QEMU in a session of its own and return once it answers on its QMP socket.

    Raises Missing, Failed with what QEMU said when it refuses to run, TimedOut.
    """
    name, *rest = arguments
    socket = directory / QMP
    for stale in SOCKETS:
        (directory / stale).unlink(missing_ok=True)
    said = await run("sh", "-c", ORPHAN, "sh", program(str(name)), *rest, cwd=directory)
    process = identify(int(said))
    try:
        async with asyncio.timeout(LAUNCH_S):
            while process and alive(process):
                if await _answers(socket):
                    return process
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        if process:
            kill(process)
        raise TimedOut(f"QEMU did not answer within {LAUNCH_S:g} s") from None
    words = (directory / LOG).read_text("utf-8", "replace").strip()[-SAID_AT_MOST:]
    raise Failed(f"QEMU did not start: {words}")


async def _answers(socket: Path) -> bool:
    try:
        async with conversation(socket):
            return True
    except Failed:
        return False
