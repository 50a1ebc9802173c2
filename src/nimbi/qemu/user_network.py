"""The network that needs nothing: each guest's own, by QEMU itself, with published ports."""

from nimbi.qemu import command
from nimbi.qemu.parts import Gear
from nimbi.qemu.record import Record


class UserNetwork:
    """Gives each guest one card at QEMU's user-mode network."""

    async def gear(self, record: Record) -> Gear:
        """Return the card's arguments."""
        return Gear(arguments=command.user_network(record))

    async def started(self, record: Record) -> None:
        """Do nothing: the network is QEMU's own."""

    async def ended(self, id: str) -> None:
        """Do nothing: the network has ended with QEMU."""

    async def forget(self, id: str) -> None:
        """Do nothing: no records are kept."""
