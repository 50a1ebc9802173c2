"""What a guest has beside processor, memory and root disk: each kind keeps its own records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nimbi.qemu.guests.record import Record


@dataclass(frozen=True, kw_only=True)
class Gear:
    """What one start needs: more arguments, and a program that starts QEMU in another place."""

    arguments: tuple[str | Path, ...] = ()
    prefix: tuple[str | Path, ...] = ()


class Part(Protocol):
    """One kind of things that guests have, such as volumes or network cards.

    All calls may be repeated, and are, after a crash.
    """

    async def gear(self, record: Record) -> Gear:
        """Make ready what a start of this guest needs. Raises QemuError to refuse the start."""
        ...

    async def started(self, record: Record) -> None:
        """Take note that the guest's QEMU runs with that gear."""
        ...

    async def ended(self, id: str) -> None:
        """Take note that the guest's QEMU has ended, by whatever cause."""
        ...

    async def forget(self, id: str) -> None:
        """Let go of a guest that is about to be removed; its QEMU has ended."""
        ...
