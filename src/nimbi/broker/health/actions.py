"""Begins the jobs that are done for what does not answer: each once, whoever dies meanwhile."""

import logging
from typing import Any, Protocol

import msgspec

from nimbi.model.accounts import Problem
from nimbi.model.checks import ActionKind, HealthCheck, TakenAction
from nimbi.model.errors import CloudError, Conflict, NotFound
from nimbi.model.jobs import Job
from nimbi.model.people import Owner
from nimbi.model.repair import Replace, Restart
from nimbi.store.checks import CheckStore
from nimbi.store.counts import ActionStore
from nimbi.store.database import Database
from nimbi.store.errors import StoreUnavailable

log = logging.getLogger(__name__)


class Starting(Protocol):
    """The jobs, as far as they are begun here."""

    async def start(
        self,
        kind: str,
        arguments: Any,
        owner: Owner,
        *,
        id: str | None = None,
        title: str | None = None,
    ) -> Job: ...

    async def get(self, id: str) -> Job: ...


class ActionStarter:
    """Begins what is wanted. The job has the action's own id: twice begun, it is one job."""

    def __init__(self, database: Database, jobs: Starting) -> None:
        self._checks = CheckStore(database)
        self._actions = ActionStore(database)
        self._jobs = jobs

    async def act(self) -> int:
        """Begin all that is wanted; return how many jobs were begun."""
        begun = 0
        for action in await self._actions.wanted():
            try:
                await self._begin(action)
            except StoreUnavailable:
                raise
            except CloudError as error:
                log.warning("%s for the check %s: %s", action.kind, action.check, error)
                await self._actions.started(action.id, Problem.of(error))
            else:
                await self._actions.started(action.id)
                begun += 1
        return begun

    async def _begin(self, action: TakenAction) -> None:
        check = await self._checks.get(action.check)
        await self._check_over(action)
        await self._jobs.start(
            action.kind.value,
            arguments_of(check, action.kind),
            await self._checks.owner(check.id),
            id=action.id,
            title=f"{action.kind} {check.instance_id or check.account}: {check.name}",
        )

    async def _check_over(self, action: TakenAction) -> None:
        """Raise Conflict while what was done before for the same check still goes on."""
        for before in await self._actions.of(action.check):
            if before.id == action.id or not before.is_started or before.problem is not None:
                continue
            try:
                job = await self._jobs.get(before.id)
            except NotFound:
                return
            if not job.is_ended:
                raise Conflict(f"the job {before.id} for the same check still goes on")
            return


def arguments_of(check: HealthCheck, kind: ActionKind) -> msgspec.Struct:
    """Return what the job of an action is told. Raises Conflict when the check has none by now."""
    action = check.action
    if kind is ActionKind.RESTART and check.instance_id is not None:
        return Restart(account=check.account, instance_id=check.instance_id)
    if kind is ActionKind.REPLACE and check.instance_id is not None and action is not None:
        return Replace(account=check.account, instance_id=check.instance_id, without=action.without)
    if kind is ActionKind.EVACUATE and action is not None and action.evacuation is not None:
        return action.evacuation
    raise Conflict(f"the check {check.id} has nothing to {kind} any more")
