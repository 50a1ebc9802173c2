"""Copying a disk as it is at one moment, whether its guest runs or not."""

import asyncio
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Capacity, Failed, QemuError, TimedOut
from nimbi.qemu.guests.qmp import Conversation, conversation
from nimbi.qemu.host.process import ended, kill, with_argument
from nimbi.qemu.host.programs import run

FULL = "No space left on device"
"""How QEMU and its tools say ENOSPC, in the locale that we give them."""

FORMAT = ("-f", "qcow2", "-o", "compat=1.1")
"""What can be resized and copied while in use; older QEMUs make another kind by themselves."""

BYTES_PER_S = 0
"""How fast a QEMU copies at most, 0 for as fast as it can."""

CONCLUDED = "concluded"
COPY_S = 24 * 3600.0
LOOK_EVERY_S = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Pauses between looks at a copy; the last one repeats."""

SILENCES = 6
"""So often in a row QEMU may fail to answer in time before a copy is given up."""

CANCEL_LOOKS = 500
"""A cancelled copy has ended after that many short pauses: it only waits for what it has sent."""

KILL_S = 10.0


async def copy_running(socket: Path, node: str, target: Path) -> None:
    """Copy what a block node of a running guest holds now into a new qcow2 file of mode 0600.

    What the guest writes meanwhile is not in the copy, and the guest is not held up. The copy
    stands alone: it has all that the node's backing files hold. `socket` is the guest's QMP
    socket; `target` must be absolute and must not exist. After a failure, or when the caller is
    cancelled, nothing of it is left in QEMU, and at most a torn file at `target`. Once a process
    is killed here, `clear_orphans` ends the copy in QEMU. Raises Capacity when the disk is full,
    Failed also when the guest's QEMU ends, TimedOut.
    """
    copy = Copy(socket, f"copy-{secrets.token_hex(8)}")
    try:
        await copy.prepare(node, target)
        await copy.begin(node)
        await copy.wait()
    finally:
        await asyncio.shield(copy.clear())
    await asyncio.to_thread(settle_file, target)


async def copy_stopped(disk: Path, target: Path) -> None:
    """Copy a qcow2 disk that no guest has open into a new qcow2 file of mode 0600.

    The copy stands alone: it has all that the disk's backing files hold. `target` must be
    absolute and must not exist. After a failure at most a torn file is left there; when this
    process is killed, `end_copying` ends the program that is still at work on it.
    Raises Capacity when the disk is full, and Failed when a guest has the disk open.
    """
    await asyncio.to_thread(target.touch, mode=0o600, exist_ok=False)
    try:
        await run(
            *("qemu-img", "convert", "-q", "-f", "qcow2", "-O", "qcow2", *FORMAT[2:]),
            *(disk, target),
            within_s=COPY_S,
        )
    except Failed as error:
        raise sorted_out(str(error)) from None
    await asyncio.to_thread(settle_file, target)


async def end_copying(target: Path) -> None:
    """End the programs of killed processes that still write to `target`."""
    for process in await asyncio.to_thread(with_argument, str(target)):
        kill(process)
        await ended(process, KILL_S)


async def clear_orphans(socket: Path) -> None:
    """End those copies of `copy_running` in a guest's QEMU whose file has been removed.

    A guest that does not run, or whose QEMU is busy, is left as it is.
    """
    try:
        async with conversation(socket) as talk:
            nodes = await talk.ask("query-named-block-nodes", {"flat": True})
    except QemuError:
        return
    for node in nodes:
        name = str(node.get("node-name"))
        if name.startswith("copy-") and not await asyncio.to_thread(Path(node["file"]).exists):
            await Copy(socket, name).clear()


def settle_file(path: Path) -> None:
    """Make what a file holds survive a power cut, and let its owner alone read it."""
    path.chmod(0o600)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sorted_out(words: str) -> QemuError:
    """Return the error that says what these words of QEMU or of qemu-img mean."""
    return Capacity(f"the disk is full: {words}") if FULL in words else Failed(words)


@dataclass(frozen=True)
class Copy:
    """A copy that a guest's QEMU makes: a job, and a node for its target, of the same name.

    It belongs to QEMU, not to this process, and can be taken up by another one by its name.
    """

    socket: Path
    name: str

    async def prepare(self, node: str, target: Path) -> None:
        """Make an empty target as large as the node, and give it to QEMU."""
        async with conversation(self.socket) as talk:
            size = await virtual_bytes(talk, node)
        await asyncio.to_thread(target.touch, mode=0o600, exist_ok=False)
        await run("qemu-img", "create", "-q", *FORMAT, target, str(size))
        file = {"driver": "file", "filename": str(target)}
        async with conversation(self.socket) as talk:
            await talk.ask(
                "blockdev-add",
                {"driver": "qcow2", "node-name": self.name, "discard": "unmap", "file": file},
            )

    async def begin(self, node: str) -> None:
        """Start the copy: it gets what the node holds at this moment."""
        job = {"job-id": self.name, "device": node, "target": self.name, "sync": "full"}
        async with conversation(self.socket) as talk:
            # An ended job stays known until it is dismissed, so that no event can be missed.
            await talk.ask("blockdev-backup", {**job, "speed": BYTES_PER_S, "auto-dismiss": False})

    async def is_known(self) -> bool:
        """Say whether the copy was begun and not yet cleared. Raises Failed when QEMU ended."""
        async with conversation(self.socket) as talk:
            return await self._job(talk) is not None

    async def wait(self) -> None:
        """Return once the copy is whole.

        Raises Capacity when the disk is full, Failed when it cannot be made whole, also because
        QEMU has ended, TimedOut when QEMU does not answer for long.
        """
        pauses = iter(LOOK_EVERY_S)
        silences = 0
        while True:
            try:
                job = await self._look()
            except TimedOut:
                silences += 1
                if silences == SILENCES:
                    raise
                continue
            silences = 0
            if job["status"] == CONCLUDED:
                if words := job.get("error"):
                    raise sorted_out(f"the copy failed: {words}")
                return
            await asyncio.sleep(next(pauses, LOOK_EVERY_S[-1]))

    async def clear(self) -> None:
        """End the copy if it runs, and let QEMU forget it and close its target.

        May be repeated. A QEMU that has ended has nothing left to forget. Raises TimedOut when it
        is busy, and Failed when it does not let go.
        """
        try:
            async with conversation(self.socket) as talk:
                job = await self._job(talk)
                if job is not None:
                    await self._dismiss(talk, job)
                if await node_named(talk, self.name):
                    await talk.ask("blockdev-del", {"node-name": self.name})
        except Failed:
            if await self._is_left():
                raise

    async def _dismiss(self, talk: Conversation, job: dict[str, Any]) -> None:
        if job["status"] != CONCLUDED:
            await talk.ask("job-cancel", {"id": self.name})
        for _ in range(CANCEL_LOOKS):
            left = await self._job(talk)
            if left is None or left["status"] == CONCLUDED:
                break
            await asyncio.sleep(LOOK_EVERY_S[0])
        await talk.ask("job-dismiss", {"id": self.name})
        # Without the copy, the write that was kept back goes well.
        if await _is_halted(talk):
            await talk.ask("cont")

    async def _is_left(self) -> bool:
        try:
            async with conversation(self.socket) as talk:
                return await node_named(talk, self.name) is not None
        except Failed:
            return False

    async def _look(self) -> dict[str, Any]:
        async with conversation(self.socket) as talk:
            job = await self._job(talk)
            halted = await _is_halted(talk)
        if job is None:
            raise Failed("QEMU no longer knows of the copy")
        if halted and job["status"] != CONCLUDED:
            raise Capacity("the disk is full: the guest could not write while it was copied")
        return job

    async def _job(self, talk: Conversation) -> dict[str, Any] | None:
        jobs = await talk.ask("query-jobs")
        return next((job for job in jobs if job["id"] == self.name), None)


async def _is_halted(talk: Conversation) -> bool:
    """Say whether a write of the guest was kept back for lack of room.

    What it writes over is copied first, so a copy that has no room left halts the guest.
    """
    return bool((await talk.ask("query-status"))["status"] == "io-error")


async def node_named(talk: Conversation, name: str) -> dict[str, Any] | None:
    """Return what QEMU tells of one block node, None when it has no such node."""
    nodes = await talk.ask("query-named-block-nodes", {"flat": True})
    return next((node for node in nodes if node.get("node-name") == name), None)


async def virtual_bytes(talk: Conversation, node: str) -> int:
    """Return the size of a block node as the guest sees it. Raises Failed for an unknown one."""
    found = await node_named(talk, node)
    if found is None:
        raise Failed(f"QEMU has no block node {node!r}")
    return int(found["image"]["virtual-size"])
