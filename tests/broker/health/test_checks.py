"""Checks: from results to states, alerts, silences and what people are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.broker.health.ward import Machine, Ward
from tests.broker.sites import soon

from nimbi.broker.access import ADMIN, Caller
from nimbi.broker.health.verdict import Outcome, after
from nimbi.drivers.mock.faults import Faults, Outage
from nimbi.model.alerts import AlertState, NewSilence
from nimbi.model.checks import Action, ActionKind, CheckState, NewCheck, Probe, ProbeKind
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound
from nimbi.model.people import Effect, RoleRule
from nimbi.model.repair import Evacuation
from nimbi.model.tokens import Scope

UP, DOWN, UNKNOWN = CheckState.UP, CheckState.DOWN, CheckState.UNKNOWN
RESTART = Action(kind=ActionKind.RESTART, pause_s=30, most=2, window_s=3600)


@pytest.mark.parametrize(
    ("results", "states"),
    [
        ("g", "U"),
        ("bbb", "??D"),
        ("gbbgbb", "UUUUUU"),
        ("gbbbb", "UUUDD"),
        ("bbbg", "??DD"),
        ("bbbgg", "??DDU"),
        ("bbbgbgg", "??DDDDU"),
        ("bbnb", "???D"),
        ("nnn", "???"),
        ("bbbn", "??DD"),
    ],
)
def test_three_bad_results_in_a_row_are_down_and_two_good_ones_up(
    results: str, states: str
) -> None:
    state, streak, seen = UNKNOWN, 0, ""
    for result in results:
        outcome = Outcome({"g": True, "b": False, "n": None}[result])
        state, streak = after(state, streak, outcome, failures=3, successes=2)
        seen += {UP: "U", DOWN: "D", UNKNOWN: "?"}[state]
    assert seen == states


async def test_an_alert_is_pending_then_fires_once_and_is_over_when_it_answers(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port)
    assert (await ward.again(check)).state is UP
    ward.shut()
    assert (await ward.again(check)).state is UP
    (alert,) = await ward.alerts()
    assert (alert.state, alert.source, alert.account) == (AlertState.PENDING, check.id, "one")
    assert await ward.told() == []
    assert (await ward.again(check, 3)).state is DOWN
    (alert,) = await ward.alerts()
    assert alert.state is AlertState.FIRING
    assert "inst0" in alert.summary
    assert await ward.told() == [("appeared", "firing")]
    ward.reopen()
    assert (await ward.again(check)).state is UP
    (alert,) = await ward.alerts()
    assert alert.state is AlertState.RESOLVED
    assert await ward.told() == [("appeared", "firing"), ("changed", "resolved")]


async def test_what_was_only_pending_is_told_to_nobody(ward: Ward, machine: Machine) -> None:
    check = await ward.check(machine.port)
    ward.shut()
    await ward.again(check)
    assert [a.state for a in await ward.alerts()] == [AlertState.PENDING]
    ward.reopen()
    await ward.again(check)
    assert (await ward.alerts(), await ward.told()) == ((), [])


async def test_in_a_silence_nobody_is_told_and_nothing_is_done_until_it_is_over(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port, action=RESTART)
    ward.shut()
    until = datetime.now(UTC) + timedelta(hours=1)
    silence = await ward.health.create_silence(
        ADMIN, NewSilence(account="one", ends_at=until, comment="we move")
    )
    other = await ward.health.create_silence(ADMIN, NewSilence(source="ck_other", ends_at=until))
    await ward.again(check, 3)
    (alert,) = await ward.alerts()
    assert (alert.state, alert.silenced) == (AlertState.FIRING, True)
    assert (await ward.told(), await ward.health.actions(ADMIN, check.id)) == ([], ())
    await ward.health.destroy_silence(ADMIN, silence.id)
    await ward.again(check)
    (alert,) = await ward.alerts()
    assert (await ward.told(), alert.silenced) == ([("appeared", "firing")], False)
    assert len(await ward.health.actions(ADMIN, check.id)) == 1
    assert [s.id for s in await ward.health.silences(ADMIN)] == [other.id]


async def test_who_never_heard_of_an_alert_hears_not_that_it_is_over(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port)
    until = datetime.now(UTC) + timedelta(hours=1)
    silence = await ward.health.create_silence(ADMIN, NewSilence(ends_at=until))
    ward.shut()
    await ward.again(check, 2)
    ward.reopen()
    await ward.again(check)
    await ward.health.destroy_silence(ADMIN, silence.id)
    await ward.again(check)
    assert [a.state for a in await ward.alerts()] == [AlertState.RESOLVED]
    assert await ward.told() == []


async def test_a_flapping_check_restarts_no_more_often_than_it_may(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port, failures=1, action=RESTART)
    for _ in range(10):
        ward.shut()
        await ward.again(check)
        await _pass(ward, 40, "minutes")
        ward.reopen()
        await ward.again(check)
    # Ten times down in 400 minutes; at most two jobs in each hour.
    taken = [action.at for action in await ward.health.actions(ADMIN, check.id)]
    assert 2 <= len(taken) <= 10
    for at in taken:
        assert sum(at <= other < at + timedelta(hours=1) for other in taken) <= 2


async def test_within_one_window_a_flapping_check_comes_to_its_limit(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port, failures=1, action=RESTART)
    for _ in range(12):
        ward.shut()
        await ward.again(check, 2)
        await _pass(ward, 1, "minutes")
        ward.reopen()
        await ward.again(check)
    assert len(await ward.health.actions(ADMIN, check.id)) == 2


async def test_what_goes_on_failing_is_restarted_again_after_a_pause(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port, failures=1, action=RESTART)
    ward.shut()
    await ward.again(check, 5)
    assert len(await ward.health.actions(ADMIN, check.id)) == 1
    await _pass(ward, 31, "seconds")
    await ward.again(check, 5)
    assert len(await ward.health.actions(ADMIN, check.id)) == 2


async def test_the_cloud_is_asked_about_state_and_about_itself(ward: Ward) -> None:
    state = await ward.check(1, probe=Probe(kind=ProbeKind.STATE), failures=1)
    cloud = await ward.check(1, None, probe=Probe(kind=ProbeKind.CLOUD), failures=1)
    assert (await ward.again(state)).state is UP
    assert (await ward.again(cloud)).state is UP
    ward.whole.clouds["one"].faults = Faults(outage=Outage())
    # Of a cloud that is silent nobody knows how its instances are.
    assert (await ward.again(state)).state is UP
    found = await ward.again(cloud)
    assert found.state is DOWN
    assert found.problem is not None
    assert found.problem.code == "cloud_unavailable"


async def test_a_stopped_or_lost_instance_is_down_by_state(ward: Ward) -> None:
    check = await ward.check(1, probe=Probe(kind=ProbeKind.STATE), failures=1)
    async with ward.whole.broker.use(ADMIN, "one") as cloud:
        await cloud.instances.stop("inst0")
        assert (await ward.again(check)).state is DOWN
        await cloud.instances.destroy("inst0")
    found = await ward.again(check)
    assert found.state is DOWN
    assert found.problem is not None
    assert found.problem.code == "not_found"


@pytest.mark.parametrize(
    "wish",
    [
        {"probe": Probe(kind=ProbeKind.CLOUD)},
        {"instance_id": None},
        {"probe": Probe(kind=ProbeKind.TCP)},
        {"emails": ("nobody",)},
        {"emails": ("a@b.example\r\nBcc: c@d.example",)},
        {"emails": ("ann@example.com",)},
        {"action": Action(kind=ActionKind.EVACUATE)},
        {
            "instance_id": None,
            "probe": Probe(kind=ProbeKind.CLOUD),
            "action": Action(kind=ActionKind.RESTART),
        },
        {
            "instance_id": None,
            "probe": Probe(kind=ProbeKind.CLOUD),
            "action": Action(
                kind=ActionKind.EVACUATE, evacuation=Evacuation(account="two", target="three")
            ),
        },
    ],
)
async def test_a_check_that_makes_no_sense_is_refused(ward: Ward, wish: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await ward.check(80, **wish)


async def test_a_check_is_of_what_is_there_and_an_account_in_use_stays(ward: Ward) -> None:
    with pytest.raises(NotFound):
        await ward.check(80, "inst77")
    with pytest.raises(NotFound):
        await ward.check(80, account="two")
    check = await ward.check(80)
    with pytest.raises(Conflict, match=f"the check {check.id}"):
        await ward.whole.broker.accounts.destroy("one")
    await ward.health.destroy_check(ADMIN, check.id)
    with pytest.raises(NotFound):
        await ward.health.check(ADMIN, check.id)
    await ward.whole.broker.accounts.destroy("one")


async def test_a_disabled_check_is_made_no_more_and_its_alert_is_over(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port, failures=1)
    ward.shut()
    await ward.again(check)
    assert not (await ward.health.switch_check(ADMIN, check.id, is_enabled=False)).is_enabled
    assert [a.state for a in await ward.alerts()] == [AlertState.RESOLVED]
    before = (await ward.health.check(ADMIN, check.id)).checked_at
    assert (await ward.again(check)).checked_at == before
    assert (await ward.health.switch_check(ADMIN, check.id, is_enabled=True)).state is UNKNOWN
    assert (await ward.again(check)).state is DOWN


async def test_another_tenant_finds_nothing_of_it(ward: Ward, machine: Machine) -> None:
    check = await ward.check(machine.port, failures=1)
    ward.shut()
    await ward.again(check)
    (alert,) = await ward.alerts()
    other = Caller(
        id="t",
        name="bob",
        scopes=(Scope(),),
        user="u2",
        tenant="other",
        path=("root", "other"),
        accounts=frozenset({"one"}),
        owned=frozenset(),
        below=frozenset({"other"}),
    )
    health = ward.health
    assert (await health.checks(other), await health.alerts(other)) == ((), ())
    for refused in (
        health.check(other, check.id),
        health.destroy_check(other, check.id),
        health.switch_check(other, check.id, is_enabled=False),
        health.actions(other, check.id),
        health.alert(other, alert.id),
    ):
        with pytest.raises(NotFound):
            await refused


async def test_nobody_has_done_what_they_may_not_do(ward: Ward) -> None:
    rules = (RoleRule(Effect.DENY, "instances.reboot"), RoleRule(Effect.ALLOW, "*"))
    caller = Caller(id="t", name="bob", scopes=(Scope(),), rules=rules)
    new = NewCheck(
        name="web",
        account="one",
        instance_id="inst0",
        probe=Probe(kind=ProbeKind.STATE),
        action=RESTART,
    )
    with pytest.raises(Forbidden):
        await ward.health.create_check(caller, new)


async def test_checks_are_made_in_the_background_in_their_rhythm(
    ward: Ward, machine: Machine
) -> None:
    check = await ward.check(machine.port, every_s=5)
    async with ward.health.watching():

        async def is_up() -> bool:
            return (await ward.health.check(ADMIN, check.id)).state is UP

        await soon(is_up)
    async with ward.database.reading() as connection:
        row = (await connection.exec_driver_sql("select next_us, checked_us from checks")).one()
    assert 4_000_000 <= row.next_us - row.checked_us <= 25_000_000
    assert len(machine.taken) == 1


async def test_a_process_that_ends_leaves_its_checks_to_others_at_once(
    ward: Ward, machine: Machine
) -> None:
    machine.is_mute = True
    probe = Probe(kind=ProbeKind.HTTP, port=machine.port, timeout_s=60)
    check = await ward.check(machine.port, probe=probe)
    async with ward.health.watching():

        async def is_asked() -> bool:
            return bool(machine.taken)

        await soon(is_asked)
    (due,) = await ward.health._checks.due("another", 60, 10)
    assert due.check.id == check.id


async def _pass(ward: Ward, count: int, unit: str) -> None:
    """Let time pass: what was done was done so much longer ago."""
    us = timedelta(**{unit: count}) // timedelta(microseconds=1)
    async with ward.database.writing() as connection:
        await connection.exec_driver_sql(f"update check_actions set at_us = at_us - {us}")
