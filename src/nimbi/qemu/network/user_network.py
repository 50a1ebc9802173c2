"""The network that needs no rights: each guest has its own, with published ports."""

from dataclasses import replace
from pathlib import Path

from nimbi.qemu.guests import command
from nimbi.qemu.guests.parts import Gear
from nimbi.qemu.guests.record import Record
from nimbi.qemu.network import passt, passt_trial


class UserNetwork:
    """Gives each guest one card.

    Guests that may open connections to the outside have them by passt. QEMU's own network would
    let them reach this machine's loopback, and so does passt of 2023, which is found out by trying:
    they have that only where it was asked for.
    """

    def __init__(self, guests: Path, *, unsafe: bool) -> None:
        """Serve the guests below a directory; `unsafe` accepts QEMU's own way out."""
        self._guests = guests
        self._unsafe = unsafe

    async def gear(self, record: Record) -> Gear:
        """Return the card's arguments, with passt running where it is needed."""
        if record.outgoing and not await passt_trial.refusal(self._guests.parent, passt.NETWORK):
            await passt.start(self._guests / record.id, record.ports)
            return Gear(arguments=command.passt_network(record))
        allowed = record.outgoing and self._unsafe
        return Gear(arguments=command.user_network(replace(record, outgoing=allowed)))

    async def started(self, record: Record) -> None:
        """Do nothing: the network is there."""

    async def ended(self, id: str) -> None:
        """End a passt that QEMU has never come to; else it has ended with QEMU."""
        await passt.end(self._guests / id)

    async def forget(self, id: str) -> None:
        """Do the same: no records are kept."""
        await passt.end(self._guests / id)
