"""Stopping and rebooting a guest through its QEMU, gracefully first."""

import asyncio
import contextlib
import signal
from datetime import datetime
from pathlib import Path

from nimbi.qemu.errors import QemuError
from nimbi.qemu.guests.qmp import Conversation, conversation
from nimbi.qemu.guests.record import now
from nimbi.qemu.host.process import Process, ended, kill

PRESS_EVERY_S = 2.0
"""The power button is pressed again: a guest that is still booting does not feel it."""

FLUSH_S = 5.0
"""A QEMU that is told to end has written all it holds by then."""

HALTED = frozenset({"SHUTDOWN"})


async def shut_down(process: Process, socket: Path, stop_by: datetime) -> None:
    """Press the guest's power button until it is off; from `stop_by` on, pull the plug.

    Even then QEMU is first asked to write out all that the guest has flushed.
    """
    while (left := (stop_by - now()).total_seconds()) > 0:
        with contextlib.suppress(QemuError):
            async with conversation(socket) as talk:
                if await _halted(talk):
                    break
                await talk.ask("set-action", {"shutdown": "poweroff"})
                # A paused guest could not feel its button.
                await talk.ask("cont")
                await talk.ask("system_powerdown")
        if await ended(process, min(PRESS_EVERY_S, left)):
            return
    kill(process, signal.SIGTERM)
    if not await ended(process, FLUSH_S):
        kill(process)
        await ended(process, FLUSH_S)


async def halt(socket: Path, within_s: float) -> None:
    """Press the power button and wait until the guest has halted, with its QEMU kept.

    A guest that does not halt in time stays as it is. Raises Failed when QEMU ends.
    """
    async with conversation(socket) as talk:
        await talk.ask("set-action", {"shutdown": "pause"})
        if await _halted(talk):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await talk.ask("system_powerdown")
                await talk.event(HALTED)


async def reset(socket: Path) -> None:
    """Start the guest's boot anew, from a halt or from anything else."""
    async with conversation(socket) as talk:
        await talk.ask("system_reset")
        await talk.ask("set-action", {"shutdown": "poweroff"})
        await talk.ask("cont")


async def _halted(talk: Conversation) -> bool:
    return bool((await talk.ask("query-status"))["status"] == "shutdown")


async def pause(socket: Path) -> None:
    """Halt the guest's processors; all else of it stays as it is."""
    async with conversation(socket) as talk:
        await talk.ask("stop")


async def resume(socket: Path) -> None:
    """Let the guest's processors run on. Raises Failed when QEMU can't."""
    async with conversation(socket) as talk:
        await talk.ask("cont")
