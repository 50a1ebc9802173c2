"""Makes one check: of an instance at its addresses, or of what its cloud says."""

import time
from collections.abc import Awaitable, Callable

import msgspec

from nimbi.broker.accounts import Accounts
from nimbi.broker.health.probing import Prober
from nimbi.broker.health.verdict import Outcome
from nimbi.driver.compute import Instances
from nimbi.model.accounts import Problem
from nimbi.model.checks import TO_ADDRESS, HealthCheck, Probe, ProbeKind
from nimbi.model.errors import (
    CloudError,
    CloudUnavailable,
    Conflict,
    NotFound,
    Throttled,
    Timeout,
    Unauthorized,
    Unsupported,
)
from nimbi.model.instances import Instance, InstanceState
from nimbi.store.inventory import InventoryStore

INSTANCE = msgspec.json.Decoder(Instance)

# What says nothing of the thing: the account is disabled, the cloud has no time for us.
NOBODY_KNOWS = (Conflict, Throttled, Unsupported)
# Of a cloud that does not answer, its instances may be well all the same.
CLOUD_SILENT = (CloudUnavailable, Timeout, Unauthorized)


class Checker:
    """Makes checks. Addresses are those that the inventory knows, or else the cloud."""

    def __init__(self, accounts: Accounts, things: InventoryStore, prober: Prober) -> None:
        self._accounts = accounts
        self._things = things
        self._prober = prober

    async def ask(self, check: HealthCheck) -> Outcome:
        """Return what one check says now; never raises for what is looked at."""
        if check.probe.kind is ProbeKind.CLOUD:
            return await self._timed(check.probe, lambda: self._cloud(check), silent=False)
        if check.probe.kind is ProbeKind.STATE:
            return await self._timed(check.probe, lambda: self._state(check), silent=None)
        try:
            instance = await self.instance(check.account, check.instance_id or "")
        except CloudError as error:
            return failed(error)
        return await self._prober.ask(check.probe, instance)

    async def answers(self, probe: Probe, instance: Instance) -> Outcome:
        """Return whether an instance answers a probe that goes to its addresses."""
        if probe.kind not in TO_ADDRESS:
            return Outcome(instance.state is InstanceState.RUNNING)
        return await self._prober.ask(probe, instance)

    async def instance(self, account: str, id: str) -> Instance:
        """Return an instance as it is known. Raises NotFound, and what its cloud raises."""
        try:
            thing = await self._things.thing(account, "instances", id)
        except NotFound:
            async with self._accounts.use(account) as cloud:
                return await cloud.call(Instances.get, id)
        return INSTANCE.decode(thing.body)

    async def _timed(
        self, probe: Probe, work: Callable[[], Awaitable[Outcome | None]], *, silent: bool | None
    ) -> Outcome:
        began = time.monotonic()
        try:
            bad = await work()
        except CLOUD_SILENT as error:
            return Outcome(silent, None, Problem.of(error))
        except CloudError as error:
            return failed(error)
        return bad or Outcome(True, time.monotonic() - began)

    async def _state(self, check: HealthCheck) -> Outcome | None:
        async with self._accounts.use(check.account) as cloud:
            within = cloud.within(check.probe.timeout_s)
            instance = await within.call(Instances.get, check.instance_id or "")
        if instance.state is InstanceState.RUNNING:
            return None
        return Outcome(False, None, Problem("state", f"its cloud says {instance.state}"))

    async def _cloud(self, check: HealthCheck) -> Outcome | None:
        async with self._accounts.use(check.account) as cloud:
            await cloud.within(check.probe.timeout_s).verify()
        return None


def failed(error: CloudError) -> Outcome:
    """Return the result that an error is; an instance that is gone does not answer."""
    if isinstance(error, (*NOBODY_KNOWS, *CLOUD_SILENT)):
        return Outcome(None, None, Problem.of(error))
    return Outcome(False, None, Problem.of(error))
