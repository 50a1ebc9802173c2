"""What carries a plan out without a fabric: the gate, on this machine's own network."""

import os
from pathlib import Path

from nimbi.qemu.host.files import locked, private_directory
from nimbi.qemu.network.fabric import DIRECTORY
from nimbi.qemu.network.gatekeeper import Gatekeeper
from nimbi.qemu.network.ledger import Inside
from nimbi.qemu.network.plan import Applied, Plan, check


class Alone:
    """The rung `user`: each guest has a network of its own, and the gate leads to its ports."""

    def __init__(self, root: Path) -> None:
        """Use the gate of state directory `root`."""
        directory = private_directory(root.absolute() / DIRECTORY)
        self._lock = private_directory(root.absolute() / "locks") / "fabric.lock"
        self._gatekeeper = Gatekeeper(directory)

    @property
    def fabric(self) -> bool:
        """Return that there is none."""
        return False

    async def apply(self, plan: Plan) -> Applied:
        """Have the gate lead where the plan's publications say; without any it does not run."""
        check(plan)
        async with locked(self._lock):
            if plan.publications:
                return Applied(refused=await self._gatekeeper.apply(plan, None))
            if self._gatekeeper.running():
                await self._gatekeeper.end()
            return Applied()

    async def inside(self, *, dropping: bool = False) -> Inside:
        """Return this machine's own network, which takes no rights from anybody."""
        return Inside(place="host", drop_root=dropping and os.geteuid() == 0)
