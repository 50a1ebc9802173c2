"""Objectives: what is left of the budget of bad results, and alerts when it burns too fast."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.broker.health.ward import Ward

from nimbi.broker.access import ADMIN
from nimbi.broker.health.error_budgets import BURN_RULES, burn_rate, threshold
from nimbi.model.alerts import AlertState
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.objectives import NewObjective, Objective
from nimbi.store.counts import HOUR_US, CountStore, Tally
from nimbi.store.moments import stored
from nimbi.store.schema import check_counts


async def results(ward: Ward, check: str, good: int, bad: int, ago: timedelta) -> None:
    """Have a check have had so many results at a time."""
    counts = CountStore(ward.database)
    at = datetime.now(UTC) - ago
    async with ward.database.writing() as connection:
        for _ in range(bad):
            await counts.count(connection, check, at, False)
        if good:
            await counts.count(connection, check, at, True)
            start = check_counts.c.start_us.in_(
                [stored(at) // g * g for g in (60_000_000, HOUR_US)]
            )
            more = check_counts.update().where(check_counts.c.check_id == check, start)
            await connection.execute(more.values(good=check_counts.c.good + good - 1))


async def judged(ward: Ward) -> set[tuple[str, AlertState]]:
    """Look at all objectives, and return what alerts there are."""
    async with ward.database.writing() as connection:
        await connection.exec_driver_sql("update objectives set next_us = 0")
    await ward.health._watcher.judge()
    return {(alert.rule, alert.state) for alert in await ward.alerts()}


async def made(ward: Ward, *checks: str) -> Objective:
    return await ward.health.create_objective(ADMIN, NewObjective(name="shop", checks=checks))


async def test_the_budget_is_what_may_be_bad_of_all_results(ward: Ward) -> None:
    one, two = await ward.check(80), await ward.check(81)
    objective = await made(ward, one.id, two.id)
    assert objective.standing.good_percent is None
    await results(ward, one.id, 9_990, 5, timedelta(days=3))
    await results(ward, two.id, 10_000, 5, timedelta(days=20))
    await results(ward, two.id, 0, 900, timedelta(days=40))
    standing = (await ward.health.objective(ADMIN, objective.id)).standing
    assert (standing.good, standing.bad) == (19_990, 10)
    assert standing.good_percent == 99.95
    # Twenty of 20,000 may be bad; ten were.
    assert standing.budget_left_percent == 50.0
    assert standing.burn_rate_1h == 0.0


async def test_a_budget_that_burns_fast_fires_and_is_over_when_it_stops(ward: Ward) -> None:
    check = await ward.check(80)
    await made(ward, check.id)
    await results(ward, check.id, 100_000, 0, timedelta(days=2))
    assert await judged(ward) == set()
    await results(ward, check.id, 40, 20, timedelta(minutes=3))
    found = await judged(ward)
    assert ("fast", AlertState.FIRING) in found
    assert ("slow", AlertState.FIRING) in found
    await ward.health._watcher.tell()
    assert await ward.told() == [("appeared", "firing")] * 2
    async with ward.database.writing() as connection:
        # Forty minutes later nothing of it is in the short times any more.
        forty = 40 * 60_000_000
        await connection.exec_driver_sql(
            f"update check_counts set start_us = start_us - {forty} where grain_us = 60000000"
        )
    assert await judged(ward) == {("fast", AlertState.RESOLVED), ("slow", AlertState.RESOLVED)}


async def test_a_short_burst_is_pending_only(ward: Ward) -> None:
    check = await ward.check(80)
    await made(ward, check.id)
    await results(ward, check.id, 5_000, 0, timedelta(minutes=40))
    await results(ward, check.id, 8, 2, timedelta(minutes=1))
    assert await judged(ward) == {("fast", AlertState.PENDING), ("slow", AlertState.PENDING)}
    await ward.health._watcher.tell()
    assert await ward.told() == []


async def test_a_spent_budget_fires(ward: Ward) -> None:
    check = await ward.check(80)
    await made(ward, check.id)
    await results(ward, check.id, 990, 10, timedelta(days=2))
    assert await judged(ward) == {("spent", AlertState.FIRING)}


@pytest.mark.parametrize(
    ("rule", "days", "rate"), [("fast", 30, 14.4), ("slow", 30, 6.0), ("fast", 7, 3.36)]
)
def test_thresholds_are_those_of_the_parts_of_the_budget(rule: str, days: int, rate: float) -> None:
    assert threshold(BURN_RULES[rule], days) == pytest.approx(rate)


def test_nothing_burns_without_results() -> None:
    assert burn_rate(Tally(0, 0), 0.001) == 0.0
    assert burn_rate(Tally(999, 1), 0.001) == pytest.approx(1.0)


async def test_an_objective_is_of_checks_that_there_are(ward: Ward) -> None:
    check = await ward.check(80)
    with pytest.raises(NotFound):
        await made(ward, "ck_none")
    with pytest.raises(Invalid):
        await made(ward, check.id, check.id)
    objective = await made(ward, check.id)
    assert [o.id for o in await ward.health.objectives(ADMIN)] == [objective.id]
    await ward.health.destroy_objective(ADMIN, objective.id)
    with pytest.raises(NotFound):
        await ward.health.objective(ADMIN, objective.id)


async def test_what_is_older_than_any_window_is_forgotten(ward: Ward) -> None:
    check = await ward.check(80)
    await results(ward, check.id, 5, 0, timedelta(days=91))
    await results(ward, check.id, 5, 0, timedelta(days=120))
    await results(ward, check.id, 5, 0, timedelta(hours=1))
    await ward.health.prune(datetime.now(UTC))
    async with ward.database.reading() as connection:
        wish = "select grain_us, count(*) from check_counts group by grain_us order by grain_us"
        rows = [tuple(row) for row in await connection.exec_driver_sql(wish)]
    assert rows == [(60_000_000, 1), (HOUR_US, 2)]
