"""Random sequences of calls with faults: at the end all that is there is counted, and no more."""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.broker.looking import look_later
from tests.broker.test_quotas import ACME, LARGE, SHOP, SMALL, WEB, call, limit
from tests.broker.whole import Whole, open_whole

from nimbi.broker.access import ADMIN, Caller
from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.drivers.mock.faults import Faults, LostReply, NoCapacity, Outage
from nimbi.model.errors import CloudError
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.volumes import NewVolume
from nimbi.store.quotas import Path as TenantPath

GIB = 1 << 30
CALLERS = (WEB, SHOP, ACME, ADMIN)
FAULTS = {
    "none": Faults(),
    "outage": Faults(outage=Outage(calls=1)),
    "lost": Faults(lost_reply=LostReply(operations=("*.create*", "*.resize", "*.destroy"))),
    "full": Faults(out_of_capacity=NoCapacity()),
}
ACTIONS = ("create", "create_many", "destroy", "resize", "volume", "grow", "remove", "adopt")

steps = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.sampled_from(CALLERS), st.sampled_from(sorted(FAULTS))),
    max_size=14,
)


async def act(whole: Whole, action: str, who: Caller) -> None:
    """Do one thing, with the last of what the caller has."""
    collection = Volumes if action in {"grow", "remove"} else Instances
    mine = (await call(whole, who, collection.page, None, 100)).items
    id = mine[-1].id if mine else "nothing"
    match action:
        case "create":
            await call(whole, who, Instances.create, SMALL)
        case "create_many":
            await call(whole, who, Instances.create_many, LARGE, 2)
        case "destroy":
            await call(whole, who, Instances.stop, id)
            await call(whole, who, Instances.destroy, id)
        case "resize":
            await call(whole, who, Instances.stop, id)
            await call(whole, who, Instances.resize, id, Sizes(cpus=3))
        case "volume":
            await call(whole, who, Volumes.create, NewVolume(size_gib=2))
        case "grow":
            await call(whole, who, Volumes.resize, id, 5)
        case "remove":
            await call(whole, who, Volumes.destroy, id)
        case _:
            await whole.broker.quotas.adopt(who, "one", "instances", id, TenantPath(SHOP.path))


async def played(plan: list[tuple[str, Caller, str]], url: str, place: Path) -> None:
    async with open_whole(url, place) as whole:
        await whole.add("one")
        await limit(whole, "acme", instances=5, volume_bytes=20 * GIB)
        seeded = {one.id for one in whole.clouds["one"].world.state.volumes.whole.items}
        for action, who, fault in plan:
            whole.clouds["one"].faults = FAULTS[fault]
            with suppress(CloudError):
                await act(whole, action, who)
        whole.clouds["one"].faults = Faults()
        await look_later(whole.broker, "one")
        assert await whole.broker.quotas.recount(mend=False) == ()
        await compared(whole, seeded)


async def compared(whole: Whole, seeded: set[str]) -> None:
    """Compare what all tenants have with what the cloud has."""
    holdings = whole.broker.ground.holdings
    used = {quota.resource: quota.used for quota in await holdings.quotas.of(["root"])}
    volumes = (await call(whole, ADMIN, Volumes.page, None, 1000)).items
    volumes = tuple(one for one in volumes if one.id not in seeded)
    assert used.get("volume_bytes", 0) == sum(one.size_gib for one in volumes) * GIB
    instances = (await call(whole, ADMIN, Instances.page, None, 1000)).items
    paths = await holdings.paths_of("one", "instances", [one.id for one in instances])
    mine = [one for one in instances if one.id in paths]
    assert used.get("instances", 0) == len(mine)
    # All but what every mock cloud has from the beginning is somebody's.
    assert {one.id for one in instances} - paths.keys() <= {"inst0", "inst1", "inst2", "inst3"}
    cpus = {"m1-small": 1, "m1-large": 1}
    counted = sum(int(one.sizes.cpus or cpus[one.hardware_profile_id or ""]) for one in mine)
    assert used.get("vcpus", 0) == counted


@given(plan=steps)
@settings(
    max_examples=8,
    deadline=None,
    # A smaller example is not worth the minutes that it takes to find.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_happens_nothing_drifts(
    plan: list[tuple[str, Caller, str]], ready_database: Path
) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        file = shutil.copy(ready_database, place)
        asyncio.run(played(plan, f"sqlite:///{file}", place))
