"""What carries a plan on the rung `user`: the gate alone, as guests have no network in common."""

from pathlib import Path

from nimbi.qemu.files import locked, private_directory
from nimbi.qemu.network.fabric import DIRECTORY
from nimbi.qemu.network.gatekeeper import Gatekeeper
from nimbi.qemu.network.ledger import Inside
from nimbi.qemu.network.plan import Applied, Plan, check


class Publisher:
    """Hands connections to addresses of this host on to published ports of guests."""

    def __init__(self, root: Path) -> None:
        """Use the gate of state directory `root`."""
        directory = private_directory(root.absolute() / DIRECTORY)
        self._lock = private_directory(root.absolute() / "locks") / "fabric.lock"
        self._gatekeeper = Gatekeeper(directory)

    @property
    def fabric(self) -> bool:
        """Return that guests have no cards on a fabric."""
        return False

    async def apply(self, plan: Plan) -> Applied:
        """Have exactly the plan's publications; with none, the gate is ended. Raises Failed."""
        check(plan)
        async with locked(self._lock):
            if not plan.publications:
                await self._gatekeeper.end()
                return Applied()
            return Applied(refused=await self._gatekeeper.apply(plan, None))

    async def inside(self) -> Inside:
        """Return that programs of the network run as any other."""
        return Inside(place="host")
