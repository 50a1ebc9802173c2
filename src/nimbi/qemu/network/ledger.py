"""Changes of what is written down about networks, each carried out before it counts as made."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from nimbi.qemu.balancers.configuration import Front, configuration
from nimbi.qemu.balancers.fronts import fronts
from nimbi.qemu.balancers.haproxy import HAProxy
from nimbi.qemu.errors import Conflict, Failed, QemuError
from nimbi.qemu.host.files import locked, private_directory
from nimbi.qemu.host.threads import in_thread
from nimbi.qemu.network import planning
from nimbi.qemu.network.plan import Applied, Plan, Publication
from nimbi.qemu.network.records import Records, RecordStore, mended

T = TypeVar("T")

Step = Callable[[Records], tuple[Records, T]]
"""Returns the changed records with what the caller wants to know, or raises to change nothing."""

AGAIN_S = 20.0
"""A plan that is in force is carried out again after this time: something may have been killed."""

log = logging.getLogger("nimbi.qemu")


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Where programs of the network run: `place` tells it from others, `prefix` starts one there.

    `drop_root` says that such a program is root, and can become nobody.
    """

    place: str
    prefix: tuple[str | Path, ...] = ()
    drop_root: bool = False


class Carrier(Protocol):
    """What carries a plan out: the fabric, or on the rung `user` the gate alone."""

    @property
    def fabric(self) -> bool:
        """Whether guests have their cards on a fabric."""
        ...

    async def apply(self, plan: Plan) -> Applied:
        """Make the plan true; cheap when it is. An empty one needs nothing to run."""
        ...

    async def inside(self, *, dropping: bool = False) -> Inside:
        """Return where programs of the network run, which is there after this.

        `dropping` is for one that makes itself nobody: it is left the rights for that.
        """
        ...


class Ledger:
    """The records, and the carrier that shall do as they say. Any number of processes share them.

    The records are the truth. A change is written down, then carried out, under one lock; when it
    can't be carried out it is taken back. A process that is killed in between leaves records that
    are ahead, or behind: `mend` carries out what they say.
    """

    def __init__(self, root: Path) -> None:
        """Keep records below `root`, made when it does not exist; `use` gives the carrier."""
        self._carrier: Carrier | None = None
        self._store = RecordStore(root / "network" / "records")
        self.locks = private_directory(root / "locks")
        self._lock = self.locks / "network.lock"
        self._haproxy = HAProxy(root / "balancers")
        self._changes: set[asyncio.Task[object]] = set()
        self._carried: Plan | None = None
        self._carried_at = -AGAIN_S

    @property
    def carrier(self) -> Carrier:
        """What carries plans out. Raises Failed before there is one."""
        if self._carrier is None:
            raise Failed("the network has not been opened")
        return self._carrier

    def use(self, carrier: Carrier) -> None:
        """Have plans carried out by this carrier from now on."""
        self._carrier = carrier

    async def records(self) -> Records:
        """Return what is written down."""
        return await in_thread(self._store.read)

    async def change(self, step: Step[T], *, of: str | None = None) -> T:
        """Make a change, and return what the step told.

        Once begun it is brought to its end, also when the caller is cancelled. What needs no
        other plan is not carried out, unless it is the start `of` a guest. Raises what the step
        or the carrier raises, and Conflict when what is new, or the guest's, can't be listened at.
        """
        task = asyncio.create_task(self._change(step, of))
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for changes that have begun."""
        await asyncio.gather(*self._changes, return_exceptions=True)

    async def mend(self, step: Callable[[Records], Records]) -> None:
        """Make a change that nothing can refuse, and carry out whatever is not yet as it should be.

        Raises QemuError when the carrier fails; the change stays.
        """
        async with locked(self._lock):
            raw = await in_thread(self._store.read, raw=True)
            records = await in_thread(lambda: step(mended(raw)))
            if records != raw:
                await in_thread(self._store.write, raw, records)
            if not self._fronts(records):
                # First: as long as it is there, the fabric stays.
                await self._balance(records, must=False)
            if self._due(records):
                refused = await self._carry(records)
                for publication, why in refused.items():
                    log.warning("%s:%s: %s", publication.address, publication.port, why)
            await self._balance(records, must=False)

    def _due(self, records: Records) -> bool:
        """Say whether a plan has to be carried out, since it is another one or was long ago."""
        late = asyncio.get_running_loop().time() - self._carried_at > AGAIN_S
        return late or self._plan(records) != self._carried

    async def _change(self, step: Step[T], of: str | None) -> T:
        async with locked(self._lock):
            old = await self.records()
            new, told = await in_thread(step, old)
            if new != old:
                await in_thread(self._store.write, old, new)
            if of or self._wanted(new) != self._wanted(old):
                others = old.without(*(g for id, g in old.running.items() if id == of))
                try:
                    if not self._fronts(new):
                        await self._balance(new, must=False)
                    self._check_refused(others, new, await self._carry(new))
                    await self._balance(new, must=new.balancers != old.balancers)
                except QemuError:
                    await self._take_back(new, old)
                    raise
            return told

    async def _take_back(self, new: Records, old: Records) -> None:
        await in_thread(self._store.write, new, old)
        with suppress(QemuError):
            await self._carry(old)
            await self._balance(old, must=False)

    def _check_refused(
        self, old: Records, new: Records, refused: Mapping[Publication, str]
    ) -> None:
        """Raise Conflict when a change asks for what can't be listened at."""
        before = set(self._plan(old).publications)
        for publication in self._plan(new).publications:
            if publication in refused and publication not in before:
                where = f"{publication.address}:{publication.port}"
                raise Conflict(f"{where} can't be listened at: {refused[publication]}")

    def _plan(self, records: Records) -> Plan:
        of = planning.of_fabric if self.carrier.fabric else planning.of_user
        return of(records)

    def _fronts(self, records: Records) -> tuple[Front, ...]:
        return fronts(records, fabric=self.carrier.fabric)

    def _wanted(self, records: Records) -> tuple[Plan, tuple[Front, ...]]:
        return self._plan(records), self._fronts(records)

    async def _carry(self, records: Records) -> Mapping[Publication, str]:
        self._carried, plan = None, self._plan(records)
        refused = (await self.carrier.apply(plan)).refused
        self._carried, self._carried_at = plan, asyncio.get_running_loop().time()
        return refused

    async def _balance(self, records: Records, *, must: bool) -> None:
        """Bring HAProxy to what the balancers need; unless it must be, a failure is only told."""
        found = self._fronts(records)
        try:
            if found:
                inside = await self.carrier.inside(dropping=True)
                text = configuration(found, drop_root=inside.drop_root)
                await self._haproxy.apply(text, place=inside.place, prefix=inside.prefix)
            elif self._haproxy.runs():
                await self._haproxy.end()
        except QemuError as error:
            if must:
                raise
            log.warning("the load balancers do not run: %s", error)
