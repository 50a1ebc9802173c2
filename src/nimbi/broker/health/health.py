"""Service quality as front ends use it: checks, objectives, alerts and silences."""

import secrets
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import msgspec

from nimbi.broker.access import Caller, check, is_below, may
from nimbi.broker.calls import AccountUse, Ground
from nimbi.broker.destinations import Destinations
from nimbi.broker.health.actions import ActionStarter, Starting
from nimbi.broker.health.checking import Checker
from nimbi.broker.health.error_budgets import looked
from nimbi.broker.health.mail import Mailer, MailServer
from nimbi.broker.health.probing import Prober
from nimbi.broker.health.watching import Pace, Watcher
from nimbi.driver.compute import Instances
from nimbi.model.alerts import Alert, AlertState, NewSilence, Silence
from nimbi.model.checks import Action, ActionKind, HealthCheck, NewCheck, Probe, TakenAction
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.instances import Instance
from nimbi.model.objectives import NewObjective, Objective
from nimbi.store.alerts import AlertStore, SilenceStore
from nimbi.store.checks import CheckStore
from nimbi.store.checks import missing as missing_check
from nimbi.store.counts import ActionStore, CountStore
from nimbi.store.database import Database
from nimbi.store.inventory import InventoryStore
from nimbi.store.mails import MailStore
from nimbi.store.objectives import ObjectiveStore
from nimbi.store.objectives import missing as missing_objective

# Of each tenant.
MOST_CHECKS = 1000
MOST_OBJECTIVES = 200
MOST_SILENCES = 200

# What whoever has something done must be allowed to do.
NEEDED = {
    ActionKind.RESTART: ("instances.reboot", "instances.start"),
    ActionKind.REPLACE: ("instances.create", "instances.destroy"),
    ActionKind.EVACUATE: ("instances.get", "instances.destroy"),
}


class Health:
    """Checks, objectives, alerts and silences of all tenants; a caller has those of its own.

    A tenant's own are its own and those of the tenants below it; of others none is found. With
    `mail`, letters are sent; with `jobs`, something is done for what does not answer.
    """

    def __init__(
        self,
        database: Database,
        ground: Ground,
        destinations: Destinations,
        jobs: Starting | None = None,
        mail: MailServer | None = None,
        *,
        holder: str,
        pace: Pace = Pace(),  # noqa: B008  frozen
    ) -> None:
        self._database = database
        self._ground = ground
        self._has_mail = mail is not None
        self._checks = CheckStore(database)
        self._objectives = ObjectiveStore(database)
        self._counts = CountStore(database)
        self._actions = ActionStore(database)
        self._alerts = AlertStore(database)
        self._silences = SilenceStore(database)
        prober = Prober(destinations.reach, destinations.addresses)
        self._checker = Checker(ground.accounts, InventoryStore(database), prober)
        mailer = None if mail is None else Mailer(MailStore(database), mail, holder=holder)
        starter = None if jobs is None else ActionStarter(database, jobs)
        self._watcher = Watcher(database, self._checker, starter, mailer, holder=holder, pace=pace)

    def watching(self) -> AbstractAsyncContextManager[None]:
        """Make checks and what follows from them in the background while the block runs."""
        return self._watcher.running()

    async def checks(self, caller: Caller, account: str | None = None) -> tuple[HealthCheck, ...]:
        """Return the caller's checks, or those of one account, the oldest first."""
        return tuple(
            each
            for each in await self._checks.list(account)
            if _is_shown(caller, each.tenant, "checks.page", each.account)
        )

    async def check(self, caller: Caller, id: str) -> HealthCheck:
        """Return one. Raises NotFound."""
        return await self._own_check(caller, id, "checks.get")

    async def actions(self, caller: Caller, id: str) -> tuple[TakenAction, ...]:
        """Return what was done for a check, the last first. Raises NotFound."""
        await self._own_check(caller, id, "checks.get")
        return await self._actions.of(id)

    async def create_check(self, caller: Caller, new: NewCheck) -> HealthCheck:
        """Return a new check, made for the first time at once.

        Raises Invalid for what does not fit together, and for e-mail when there is no mail server;
        NotFound for an instance that the caller does not see; Forbidden for an action that the
        caller may not do, and what the cloud raises.
        """
        new.check()
        self._check_emails(new.emails)
        check(caller, "checks.create", new.account)
        _check_action(caller, new.account, new.action)
        if await self._checks.count(caller.tenant) >= MOST_CHECKS:
            raise Invalid(f"there are {MOST_CHECKS} checks already")
        await self._seen(caller, new)
        made = HealthCheck(
            id=f"ck_{secrets.token_hex(8)}",
            name=new.name,
            tenant=caller.tenant,
            account=new.account,
            instance_id=new.instance_id,
            probe=new.probe,
            every_s=new.every_s,
            failures=new.failures,
            successes=new.successes,
            emails=new.emails,
            action=new.action,
            created_at=datetime.now(UTC),
        )
        await self._checks.add(made, new, caller.owner)
        self._watcher.poke()
        return made

    async def switch_check(self, caller: Caller, id: str, *, is_enabled: bool) -> HealthCheck:
        """Return a check that is made again, or no more; its alert is over. Raises NotFound."""
        await self._own_check(caller, id, "checks.update")
        switched = await self._checks.set_enabled(id, is_enabled)
        async with self._database.writing() as connection:
            await self._alerts.resolve_source(connection, id, datetime.now(UTC))
        self._watcher.poke()
        return switched

    async def destroy_check(self, caller: Caller, id: str) -> None:
        """Remove a check with its results; its alert is over. Raises NotFound."""
        await self._own_check(caller, id, "checks.destroy")
        async with self._database.writing() as connection:
            await self._checks.remove(connection, id)
            await self._alerts.resolve_source(connection, id, datetime.now(UTC))

    async def objectives(self, caller: Caller) -> tuple[Objective, ...]:
        """Return the caller's objectives and how they stand now, the oldest first."""
        found = await self._objectives.list()
        return tuple(
            [
                await self._standing(each)
                for each in found
                if _is_shown(caller, each.tenant, "objectives.page", None)
            ]
        )

    async def objective(self, caller: Caller, id: str) -> Objective:
        """Return one and how it stands now. Raises NotFound."""
        return await self._standing(await self._own_objective(caller, id, "objectives.get"))

    async def create_objective(self, caller: Caller, new: NewObjective) -> Objective:
        """Return a new objective of checks that the caller has.

        Raises Invalid, and NotFound for a check that there is not.
        """
        new.check()
        self._check_emails(new.emails)
        for id in new.checks:
            await self._own_check(caller, id, "checks.get")
        if await self._objectives.count(caller.tenant) >= MOST_OBJECTIVES:
            raise Invalid(f"there are {MOST_OBJECTIVES} objectives already")
        made = Objective(
            id=f"ob_{secrets.token_hex(8)}",
            name=new.name,
            tenant=caller.tenant,
            checks=new.checks,
            target_percent=new.target_percent,
            window_days=new.window_days,
            emails=new.emails,
            created_at=datetime.now(UTC),
        )
        await self._objectives.add(made, new, caller.owner)
        return await self._standing(made)

    async def destroy_objective(self, caller: Caller, id: str) -> None:
        """Remove an objective; its alerts are over. Raises NotFound."""
        await self._own_objective(caller, id, "objectives.destroy")
        async with self._database.writing() as connection:
            await self._objectives.remove(connection, id)
            await self._alerts.resolve_source(connection, id, datetime.now(UTC))

    async def alerts(
        self,
        caller: Caller,
        states: tuple[AlertState, ...] = (),
        source: str | None = None,
        limit: int = 100,
    ) -> tuple[Alert, ...]:
        """Return up to `limit` of the caller's alerts, the latest first."""
        found = await self._alerts.list(
            states=states, source=source, tenants=caller.below, limit=limit
        )
        return tuple(a for a in found if may(caller, "alerts.page", a.account))

    async def alert(self, caller: Caller, id: str) -> Alert:
        """Return one. Raises NotFound."""
        found = await self._alerts.get(id)
        if not _is_shown(caller, found.tenant, "alerts.get", found.account):
            raise NotFound(f"there is no alert {id!r}")
        return found

    async def silences(self, caller: Caller) -> tuple[Silence, ...]:
        """Return the caller's silences, the one that ends last first."""
        found = await self._silences.list()
        return tuple(s for s in found if _is_shown(caller, s.tenant, "silences.page", s.account))

    async def create_silence(self, caller: Caller, new: NewSilence) -> Silence:
        """Return a new silence over alerts of the caller's tenant. Raises Invalid."""
        new.check()
        check(caller, "silences.create", new.account)
        now = datetime.now(UTC)
        if new.ends_at <= now:
            raise Invalid("a silence ends after now")
        if len(await self.silences(caller)) >= MOST_SILENCES:
            raise Invalid(f"there are {MOST_SILENCES} silences already")
        made = Silence(
            id=f"si_{secrets.token_hex(8)}",
            tenant=caller.tenant,
            by=caller.name,
            account=new.account,
            source=new.source,
            begins_at=new.begins_at or now,
            ends_at=new.ends_at,
            comment=new.comment,
            created_at=now,
        )
        await self._silences.add(made, caller.owner)
        return made

    async def destroy_silence(self, caller: Caller, id: str) -> None:
        """End a silence; people are told of what still goes on. Raises NotFound."""
        found = await self._silences.get(id)
        if not _is_shown(caller, found.tenant, "silences.destroy", found.account):
            raise NotFound(f"there is no silence {id!r}")
        await self._silences.remove(id)
        self._watcher.poke()

    async def known(self, account: str, id: str) -> Instance:
        """Return an instance as it is known, whether its cloud answers or not. Raises NotFound."""
        return await self._checker.instance(account, id)

    async def answers(self, probe: Probe, instance: Instance) -> bool:
        """Return whether an instance answers a probe now."""
        return (await self._checker.answers(probe, instance)).is_good is True

    async def probes_of(self, account: str, instance_id: str) -> tuple[Probe, ...]:
        """Return what the checks of an instance ask it."""
        return tuple(c.probe for c in await self._checks.of_instance(account, instance_id))

    async def moved(self, old: tuple[str, str], new: tuple[str, str]) -> int:
        """Let the checks of an instance (account, id) be those of another; return how many."""
        return await self._checks.moved(old, new)

    async def prune(self, now: datetime) -> None:
        """Forget what is older than anybody asks for."""
        await self._counts.prune(now)
        await self._alerts.prune(now)

    async def _standing(self, objective: Objective) -> Objective:
        look = await looked(self._counts, objective, datetime.now(UTC))
        return msgspec.structs.replace(objective, standing=look.standing)

    async def _own_check(self, caller: Caller, id: str, operation: str) -> HealthCheck:
        found = await self._checks.get(id)
        if not is_below(caller, found.tenant) or not may(caller, "checks.get", found.account):
            raise missing_check(id)
        check(caller, operation, found.account)
        return found

    async def _own_objective(self, caller: Caller, id: str, operation: str) -> Objective:
        found = await self._objectives.get(id)
        if not is_below(caller, found.tenant):
            raise missing_objective(id)
        check(caller, operation, None)
        return found

    async def _seen(self, caller: Caller, new: NewCheck) -> None:
        """Raise NotFound for what is to be checked and the caller does not see."""
        if new.instance_id is None:
            check(caller, "accounts.get", new.account)
            await self._ground.accounts.get(new.account)
            return
        async with AccountUse(self._ground, caller, new.account) as cloud:
            await cloud.call(Instances.get, new.instance_id)

    def _check_emails(self, emails: tuple[str, ...]) -> None:
        if emails and not self._has_mail:
            raise Invalid("this server has no mail server, so it writes to nobody: mail_server")


def _is_shown(caller: Caller, tenant: str, operation: str, account: str | None) -> bool:
    return is_below(caller, tenant) and may(caller, operation, account)


def _check_action(caller: Caller, account: str, action: Action | None) -> None:
    if action is None:
        return
    for operation in NEEDED[action.kind]:
        check(caller, operation, account)
    if action.evacuation is not None:
        check(caller, "instances.create", action.evacuation.target)
