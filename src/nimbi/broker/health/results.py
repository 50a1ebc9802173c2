"""Keeps what a check found: its state, counts, alert, and what is to be done, all at once."""

import secrets
from datetime import datetime, timedelta

from nimbi.broker.health.verdict import Outcome, after
from nimbi.model.alerts import SourceKind
from nimbi.model.checks import CheckState, HealthCheck, TakenAction
from nimbi.store.alerts import AlertStore, Matter, covers, silent
from nimbi.store.checks import CheckStore, Due, Found
from nimbi.store.connection import AsyncConnection
from nimbi.store.counts import ActionStore, CountStore
from nimbi.store.database import Database

RULE = "down"


class Results:
    """What checks found, each in one transaction. `holder` names this process."""

    def __init__(self, database: Database, *, holder: str) -> None:
        self._database = database
        self._holder = holder
        self._checks = CheckStore(database)
        self._counts = CountStore(database)
        self._alerts = AlertStore(database)
        self._actions = ActionStore(database)

    async def keep(self, due: Due, outcome: Outcome, at: datetime) -> bool:
        """Keep one result; False, and nothing is kept, when the check is another's by now."""
        check = due.check
        verdict = after(
            check.state, due.streak, outcome, failures=check.failures, successes=check.successes
        )
        found = Found(verdict.state, verdict.streak, at, outcome.took_s, outcome.problem)
        async with self._database.writing() as connection:
            if not await self._checks.found(connection, self._holder, due, found):
                return False
            if outcome.is_good is None:
                return True
            await self._counts.count(connection, check.id, at, outcome.is_good)
            matter = matter_of(check, outcome)
            if verdict.state is CheckState.DOWN:
                await self._alerts.fire(connection, matter, at)
                if not outcome.is_good:
                    await self._want_action(connection, check, matter, at)
            elif outcome.is_good:
                await self._alerts.resolve(connection, matter.key, at)
            else:
                await self._alerts.pend(connection, matter, at)
        return True

    async def _want_action(
        self, connection: AsyncConnection, check: HealthCheck, matter: Matter, at: datetime
    ) -> None:
        """Write down that something is to be done, unless it was done too often already."""
        action = check.action
        if action is None:
            return
        times = await self._actions.times(
            connection, check.id, at - timedelta(seconds=max(action.window_s, action.pause_s))
        )
        within = [time for time in times if time > at - timedelta(seconds=action.window_s)]
        if len(within) >= action.most:
            return
        if times and at - times[0] < timedelta(seconds=action.pause_s):
            return
        quiet = await silent(connection, self._database)
        if any(covers(silence, matter) for silence in quiet):
            return
        wanted = TakenAction(
            id=f"job_{secrets.token_hex(12)}",
            check=check.id,
            kind=action.kind,
            at=at,
            is_started=False,
        )
        await self._actions.want(connection, wanted)


def matter_of(check: HealthCheck, outcome: Outcome) -> Matter:
    """Return what the alert of a check tells."""
    what = f"instance {check.instance_id}" if check.instance_id else "the cloud"
    said = f": {outcome.problem.message}" if outcome.problem else ""
    return Matter(
        kind=SourceKind.CHECK,
        source=check.id,
        rule=RULE,
        name=check.name,
        tenant=check.tenant,
        account=check.account,
        instance_id=check.instance_id,
        summary=f"{what} of the account {check.account} does not answer{said}",
        problem=outcome.problem,
        emails=check.emails,
    )
