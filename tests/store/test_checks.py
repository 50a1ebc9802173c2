"""Checks, counts, alerts and letters: who takes what, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.store.samples import BROKEN, START, at

from nimbi.model.alerts import AlertState, Silence, SourceKind
from nimbi.model.checks import (
    ActionKind,
    CheckState,
    HealthCheck,
    NewCheck,
    Probe,
    ProbeKind,
    TakenAction,
)
from nimbi.model.errors import NotFound
from nimbi.model.objectives import NewObjective, Objective
from nimbi.model.people import Owner
from nimbi.store.alerts import AlertStore, Matter, SilenceStore
from nimbi.store.checks import CheckStore, Found
from nimbi.store.counts import MINUTE_US, ActionStore, CountStore, Tally
from nimbi.store.database import Database
from nimbi.store.mails import Mail, MailStore
from nimbi.store.objectives import ObjectiveStore

ANN = Owner(user="u1", name="ann", tenant="acme")
PROBE = Probe(kind=ProbeKind.TCP, port=80)
WISH = NewCheck(name="web", account="a", instance_id="i", probe=PROBE, emails=("x@y.example",))
MATTER = Matter(
    kind=SourceKind.CHECK,
    source="ck",
    rule="down",
    name="web",
    tenant="acme",
    account="a",
    emails=("x@y.example",),
)


def check(id: str = "ck") -> HealthCheck:
    return HealthCheck(
        id=id,
        name="web",
        tenant="acme",
        account="a",
        instance_id="i",
        probe=PROBE,
        every_s=60,
        failures=3,
        successes=1,
        emails=WISH.emails,
        created_at=START,
    )


@pytest.fixture
async def checks(database: Database) -> CheckStore:
    store = CheckStore(database)
    await store.add(check(), WISH, ANN)
    return store


async def test_a_check_is_read_as_it_was_written(checks: CheckStore, database: Database) -> None:
    assert await checks.get("ck") == check()
    assert await checks.owner("ck") == ANN
    assert (await checks.list("a"), await checks.list("b")) == ((check(),), ())
    assert await checks.count("acme") == 1
    async with database.writing() as connection:
        await checks.remove(connection, "ck")
    with pytest.raises(NotFound):
        await checks.get("ck")


async def test_one_of_several_makes_a_check_and_another_when_that_is_dead(
    checks: CheckStore, database: Database
) -> None:
    taken = await asyncio.gather(*(checks.due(f"p{n}", 60, 10) for n in range(5)))
    assert sum(map(len, taken)) == 1
    await checks.set_enabled("ck", True)
    (dead,) = await checks.due("dead", 0, 10)
    (due,) = await checks.due("living", 60, 10)
    found = Found(CheckState.UP, 0, START, 0.25, None)
    async with database.writing() as connection:
        assert not await checks.found(connection, "dead", dead, found)
        assert await checks.found(connection, "living", due, found)
        assert not await checks.found(connection, "living", due, found)
    kept = await checks.get("ck")
    assert (kept.state, kept.since, kept.took_s) == (CheckState.UP, START, 0.25)
    # Its next time is a minute away.
    assert await checks.due("living", 60, 10) == []


async def test_what_is_changed_meanwhile_is_not_overwritten(
    checks: CheckStore, database: Database
) -> None:
    (due,) = await checks.due("p", 60, 10)
    assert await checks.moved(("a", "i"), ("b", "j")) == 1
    async with database.writing() as connection:
        found = Found(CheckState.DOWN, 0, START, None, BROKEN)
        assert not await checks.found(connection, "p", due, found)
    moved = await checks.get("ck")
    assert (moved.account, moved.instance_id, moved.state) == ("b", "j", CheckState.UNKNOWN)
    assert [one.id for one in await checks.of_instance("b", "j")] == ["ck"]


async def test_results_are_counted_by_the_minute_and_by_the_hour(database: Database) -> None:
    counts = CountStore(database)
    now = datetime.now(UTC)
    async with database.writing() as connection:
        for good in (True, True, False):
            await counts.count(connection, "ck", now, good)
        await counts.count(connection, "ck", now - timedelta(days=2), False)
        await counts.count(connection, "other", now, False)
    assert await counts.tally(["ck"], now - timedelta(minutes=5), MINUTE_US) == Tally(2, 1)
    assert await counts.tally(["ck"], now - timedelta(days=30)) == Tally(2, 2)
    assert await counts.tally(["ck", "other"], now - timedelta(days=30)) == Tally(2, 3)
    assert await counts.tally([], now - timedelta(days=30)) == Tally(0, 0)


async def test_there_is_one_alert_of_a_matter_until_it_is_over(database: Database) -> None:
    alerts = AlertStore(database)

    async def fires() -> None:
        async with database.writing() as connection:
            await alerts.fire(connection, MATTER, START)

    await asyncio.gather(*(fires() for _ in range(5)))
    (alert,) = await alerts.list()
    assert (alert.state, alert.began_at, alert.account) == (AlertState.FIRING, START, "a")
    async with database.writing() as connection:
        (untold,) = await alerts.untold(connection, 10)
        assert untold.emails == MATTER.emails
        await alerts.told(connection, untold.alert)
        assert await alerts.untold(connection, 10) == ()
        await alerts.resolve(connection, MATTER.key, START)
        assert [u.alert.state for u in await alerts.untold(connection, 10)] == [AlertState.RESOLVED]
        await alerts.fire(connection, MATTER, START + timedelta(hours=1))
    assert [a.state for a in await alerts.list()] == [AlertState.FIRING, AlertState.RESOLVED]
    assert await alerts.list(tenants=["other"]) == ()
    assert len(await alerts.list(tenants=["acme"], states=[AlertState.FIRING])) == 1


@pytest.mark.parametrize(
    ("tenant", "account", "source", "hours", "is_quiet"),
    [
        ("acme", None, None, 1, True),
        ("acme", "a", None, 1, True),
        ("acme", "a", "ck", 1, True),
        ("acme", "b", None, 1, False),
        ("acme", None, "other", 1, False),
        ("other", None, None, 1, False),
        ("acme", None, None, -1, False),
    ],
)
async def test_a_silence_is_for_what_it_names(
    database: Database,
    tenant: str,
    account: str | None,
    source: str | None,
    hours: int,
    is_quiet: bool,
) -> None:
    alerts, now = AlertStore(database), datetime.now(UTC)
    silence = Silence(
        id="si",
        tenant=tenant,
        by="ann",
        account=account,
        source=source,
        begins_at=now - timedelta(hours=2),
        ends_at=now + timedelta(hours=hours),
        created_at=START,
    )
    silences = SilenceStore(database)
    await silences.add(silence, ANN)
    assert await silences.list() == (silence,)
    async with database.writing() as connection:
        await alerts.fire(connection, MATTER, START)
        assert (await alerts.untold(connection, 10) == ()) is is_quiet
    assert [alert.silenced for alert in await alerts.list()] == [is_quiet]


async def test_an_action_is_wanted_until_it_is_begun(database: Database) -> None:
    actions = ActionStore(database)
    action = TakenAction(id="j", check="ck", kind=ActionKind.RESTART, at=START, is_started=False)
    async with database.writing() as connection:
        await actions.want(connection, action)
        assert await actions.times(connection, "ck", START) == (START,)
        assert await actions.times(connection, "ck", START + timedelta(seconds=1)) == ()
    assert await actions.wanted() == (action,)
    await actions.started("j", BROKEN)
    assert await actions.wanted() == ()
    (kept,) = await actions.of("ck")
    assert (kept.is_started, kept.problem) == (True, BROKEN)


async def test_a_letter_is_taken_by_one_and_waits_after_a_failure(database: Database) -> None:
    mails = MailStore(database)
    mail = Mail("m", "al", "x@y.example", "s", "t", START)
    for _ in range(2):
        async with database.writing() as connection:
            await mails.add(connection, mail)
    taken = await asyncio.gather(*(mails.due(f"p{n}", 60, 10) for n in range(5)))
    (holder,) = [f"p{n}" for n, each in enumerate(taken) if each]
    await mails.done("m", "another")
    await mails.failed("m", holder, BROKEN, at(-1e9))
    (again,) = await mails.due("p", 60, 10)
    assert again == mail._replace(attempts=1)
    await mails.done("m", "p")
    assert await mails.due("p", 60, 10) == ()


async def test_an_objective_is_looked_at_by_one(database: Database) -> None:
    store = ObjectiveStore(database)
    objective = Objective(
        id="ob",
        name="shop",
        tenant="acme",
        checks=("ck",),
        target_percent=99.9,
        window_days=30,
        created_at=START,
    )
    await store.add(objective, NewObjective(name="shop", checks=("ck",)), ANN)
    assert await store.get("ob") == objective
    taken = await asyncio.gather(*(store.due(f"p{n}", 60, 10) for n in range(5)))
    (due,) = [each[0] for each in taken if each]
    holder = next(f"p{n}" for n, each in enumerate(taken) if each)
    later = datetime.now(UTC) + timedelta(minutes=1)
    async with database.writing() as connection:
        assert not await store.looked_at(connection, "another", due, later)
        assert await store.looked_at(connection, holder, due, later)
    assert await store.due("p", 60, 10) == ()
