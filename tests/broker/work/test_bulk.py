"""One thing done to many."""

import msgspec
import pytest
from tests.broker.work.shop import Shop, launch

from nimbi.drivers.mock.faults import LostReply, Outage
from nimbi.model.errors import Invalid
from nimbi.model.instances import InstanceState
from nimbi.model.work import Bulk, BulkDone, Choice, Launched, Target


@pytest.fixture
async def machines(shop: Shop) -> tuple[str, ...]:
    """Give three machines in `a` and one in `b`."""
    made = await shop.did("launch", launch(count=3), Launched)
    await shop.did("launch", launch("db", "b"), Launched)
    return made.ids


def states(shop: Shop, account: str = "a") -> list[str]:
    return [instance.state for instance in shop.instances(account)]


async def test_all_of_a_choice_are_stopped(shop: Shop, machines: tuple[str, ...]) -> None:
    choice = Choice(filters={"state": "running"}, everything=True)
    done = await shop.did("bulk", Bulk(action="instances.stop", choice=choice), BulkDone)
    assert {(t.account, t.id) for t in done.done} == {
        *(("a", id) for id in machines),
        *(("b", i.id) for i in shop.instances("b")),
    }
    assert {*states(shop), *states(shop, "b")} == {"stopped"}


async def test_a_choice_is_by_account_name_and_tag(shop: Shop, machines: tuple[str, ...]) -> None:
    choice = Choice(accounts=("a",), filters={"name_prefix": "web-2"})
    done = await shop.did("bulk", Bulk(action="instances.stop", choice=choice), BulkDone)
    assert [target.id for target in done.done] == [machines[1]]


async def test_what_is_so_already_is_told_apart(shop: Shop, machines: tuple[str, ...]) -> None:
    targets = tuple(Target(account="a", id=id) for id in machines)
    await shop.did("bulk", Bulk(action="instances.stop", targets=targets[:1]), BulkDone)
    done = await shop.did("bulk", Bulk(action="instances.stop", targets=targets), BulkDone)
    assert (done.skipped, done.done) == (targets[:1], targets[1:])


async def test_running_machines_are_destroyed(shop: Shop, machines: tuple[str, ...]) -> None:
    targets = tuple(Target(account="a", id=id) for id in machines)
    done = await shop.did("bulk", Bulk(action="instances.destroy", targets=targets), BulkDone)
    assert done.done == targets
    assert shop.instances() == ()
    again = await shop.did("bulk", Bulk(action="instances.destroy", targets=targets), BulkDone)
    assert again.skipped == targets


async def test_lost_replies_and_outages_are_waited_out(
    shop: Shop, machines: tuple[str, ...]
) -> None:
    shop.spoil(
        lost_reply=LostReply(operations=("instances.stop",), calls=2),
        outage=Outage(operations=("instances.get",), calls=5),
    )
    targets = tuple(Target(account="a", id=id) for id in machines)
    done = await shop.did("bulk", Bulk(action="instances.stop", targets=targets), BulkDone)
    assert done.done == targets
    assert states(shop) == [InstanceState.STOPPED] * 3


async def test_failures_are_told_and_the_others_done(shop: Shop, machines: tuple[str, ...]) -> None:
    targets = (Target(account="a", id="none"), Target(account="a", id=machines[0]))
    targets = (*targets, Target(account="nowhere", id="x"))
    done = await shop.did("bulk", Bulk(action="instances.stop", targets=targets), BulkDone)
    assert done.done == targets[1:2]
    told = {(f.account, f.id): f.problem.code for f in done.failures}
    assert told == {("a", "none"): "not_found", ("nowhere", "x"): "not_found"}


async def test_another_thing_by_the_same_id_is_left_alone(
    shop: Shop, machines: tuple[str, ...]
) -> None:
    other = shop.instances()[0].created_at
    assert other is not None
    target = Target(account="a", id=machines[0], created_at=other.replace(year=2001))
    done = await shop.did("bulk", Bulk(action="instances.destroy", targets=(target,)), BulkDone)
    assert [failure.problem.code for failure in done.failures] == ["conflict"]
    assert len(shop.instances()) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        Bulk(action="instances.stop"),
        Bulk(action="instances.stop", choice=Choice()),
        Bulk(action="instances.create", targets=(Target(account="a", id="i"),)),
    ],
)
async def test_a_bulk_action_of_nothing_is_refused(shop: Shop, wrong: Bulk) -> None:
    job = await shop.ended(await shop.started("bulk", wrong))
    assert job.error is not None
    assert job.error.code == "invalid"


def test_a_choice_of_everything_says_so() -> None:
    with pytest.raises(Invalid, match="everything"):
        Bulk(action="instances.stop", choice=Choice()).check()
    Bulk(action="instances.stop", choice=Choice(everything=True)).check()
    assert msgspec.json.decode(b"{}", type=Choice) == Choice()
