"""The job that moves all instances of an account to another one."""

import msgspec

from nimbi.broker.inventory.wishes import Wish
from nimbi.broker.work.ground import PASSING, WorkGround
from nimbi.broker.work.making import token_parts
from nimbi.broker.work.replacing import Care, Replacing
from nimbi.broker.work.template import features_of, lacks, template
from nimbi.driver.compute import Instances
from nimbi.jobs import Kind, Work
from nimbi.model.errors import CloudError, Invalid
from nimbi.model.instances import Instance, InstanceState
from nimbi.model.repair import Evacuated, Evacuation, NotMoved, Replaced

PAGE = 1000
MOST = 1000
# How many of the reasons are told why nothing is begun.
SHOWN = 10
GONE = frozenset({InstanceState.FINISH})

INSTANCE = msgspec.json.Decoder(Instance)


def kind(ground: WorkGround, care: Care) -> Kind[Evacuation, Evacuated]:
    """Return the kind of job."""

    async def run(work: Work, wish: Evacuation) -> Evacuated:
        return await _Evacuating(ground, care, work, wish).run()

    text = "Move all instances of an account to another one."
    return Kind(
        "evacuate",
        Evacuation,
        run,
        text,
        ground.settle,
        title=lambda it: f"evacuate {it.account} to {it.target}",
    )


class _Evacuating:
    """One evacuation under way."""

    def __init__(self, ground: WorkGround, care: Care, work: Work, wish: Evacuation) -> None:
        wish.check()
        self._ground = ground
        self._care = care
        self._work = work
        self._wish = wish

    async def run(self) -> Evacuated:
        wish, work = self._wish, self._work
        await work.progress(1, "planning", f"what {wish.account} has")
        ids = await work.step("choose", self._chosen, type=tuple[str, ...])
        await work.log(f"{len(ids)} instances of {wish.account} go to {wish.target}")
        moved: list[Replaced] = []
        failed: list[NotMoved] = []
        # One after the other: what is learnt from the first is not learnt from all.
        for index, id in enumerate(ids):
            try:
                done = Replacing(self._ground, self._care, work, wish.of(id), index)
                moved.append(await done.run())
                await work.log(f"{id} is {moved[-1].new_id} of {wish.target} now")
            except CloudError as error:
                failed.append(NotMoved(instance_id=id, code=error.code, message=error.message))
                await work.log(f"{id} stays: {error.message}")
        return Evacuated(
            account=wish.account, target=wish.target, moved=tuple(moved), failed=tuple(failed)
        )

    async def _chosen(self) -> tuple[str, ...]:
        """Return the ids of what is to be moved; all of it is reserved then.

        Raises Invalid when one cannot be had there, QuotaExceeded when not all of them fit.
        """
        wish = self._wish
        found = {each.id: each for each in await self._held() if each.state not in GONE}
        unknown = [id for id in wish.instances if id not in found]
        if unknown:
            raise Invalid(f"{wish.account} has no instance {', '.join(unknown[:SHOWN])}")
        chosen = sorted(wish.instances or found)
        if len(chosen) > MOST:
            raise Invalid(f"these are {len(chosen)} instances; {MOST} can be moved at once")
        async with self._ground.cloud(self._work, wish.target) as cloud:
            features = features_of(cloud)
        missing = {id: lacks(found[id], wish.of(id), features) for id in chosen}
        reasons = [f"{id}: {why}" for id, whys in missing.items() for why in whys]
        if reasons:
            raise Invalid(f"nothing was begun: {'; '.join(reasons[:SHOWN])}")
        wishes = {
            self._work.token(*token_parts(index, 0)): template(found[id], wish.of(id), features)
            for index, id in enumerate(chosen)
        }
        await self._ground.reserve(self._work, wish.target, wishes)
        return tuple(chosen)

    async def _held(self) -> list[Instance]:
        """Return the instances of the account; when its cloud is silent, those known last."""
        try:
            async with self._ground.cloud(self._work, self._wish.account) as cloud:
                return [each async for each in cloud.each(Instances.page)]
        except CloudError as error:
            if error.code not in PASSING and error.code != "unauthorized":
                raise
        known: list[Instance] = []
        marker: str | None = None
        caller = await self._ground.people.acting(self._work.owner)
        while True:
            wish = Wish(
                collection="instances",
                accounts=(self._wish.account,),
                limit=PAGE,
                marker=marker,
                caller=caller,
            )
            listing = await self._ground.inventory.list(wish)
            known += [INSTANCE.decode(body) for body in listing.items]
            marker = listing.next
            if marker is None:
                return known
