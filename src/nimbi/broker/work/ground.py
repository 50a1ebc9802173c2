"""What the kinds of jobs work with: the clouds, for whom a job is done."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from nimbi.broker.access import Caller, check
from nimbi.broker.calls import AccountUse, Ground
from nimbi.broker.inventory.inventory import Inventory
from nimbi.broker.job_audit import as_job
from nimbi.broker.ledger.reservation import Along, reservation
from nimbi.gateway.cloud import Cloud
from nimbi.jobs import Work
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.instances import NewInstance
from nimbi.model.jobs import Job
from nimbi.model.people import Owner
from nimbi.model.tokens import Scope
from nimbi.store.connection import AsyncConnection
from nimbi.store.intents import IntentStore
from nimbi.wire.destinations import Reach

# After these the same request may go well a moment later; of the last two it is unknown whether it
# was carried out.
PASSING = frozenset({"throttled", "cloud_unavailable", "timeout", "unknown_outcome"})
# After these the same request never goes well.
FINAL = frozenset({"unauthorized", "forbidden", "not_found", "invalid", "unsupported", "conflict"})

# Things that one step works on at the same time.
AT_ONCE = 10


class Acting(Protocol):
    """Tells what somebody may do now who wanted something before."""

    async def acting(self, owner: Owner) -> Caller: ...


@dataclass(frozen=True, kw_only=True)
class WorkGround:
    """What jobs work with. `reach` is how far their own connections to machines may go."""

    calls: Ground
    people: Acting
    inventory: Inventory
    reach: Reach

    @property
    def intents(self) -> IntentStore:
        """What was about to be made, by its token."""
        return self.calls.intents

    @asynccontextmanager
    async def cloud(self, work: Work, account: str) -> AsyncIterator[Cloud]:
        """Give the account's cloud, for what the job's owner may do now.

        Raises Forbidden for an owner who may do nothing any more, and what opening it raises.
        """
        caller = await self.people.acting(work.owner)
        with as_job(work.id):
            async with AccountUse(self.calls, caller, account) as cloud:
                yield cloud

    async def ahead(
        self, owner: Owner, account: str, wish: NewInstance, names: Mapping[str, str | None]
    ) -> Along:
        """Return what reserves an instance for each token, given a job's id; see `reservation`.

        The cloud is asked for sizes that are not known, if it answers. Raises NotFound for an
        account that there is not, and Forbidden.
        """
        caller = await self.people.acting(owner)
        check(caller, "instances.create", account)
        await self.calls.accounts.get(account)

        async def fetch(operation: Callable[..., Awaitable[Any]], *args: Any) -> Any:
            async with AccountUse(self.calls, caller, account) as cloud:
                return await cloud.call(operation, *args)

        return await reservation(self.calls, caller, account, wish, names, fetch)

    async def reserve(self, work: Work, account: str, wishes: Mapping[str, NewInstance]) -> None:
        """Reserve for a running job an instance for each wish, by its token: for all or none.

        Raises QuotaExceeded, and what `ahead` does.
        """
        found = [
            await self.ahead(work.owner, account, wish, {token: wish.name})
            for token, wish in wishes.items()
        ]
        async with self.calls.database.writing() as connection:
            for along in found:
                await along(connection, work.id)

    async def settle(self, connection: AsyncConnection, job: Job) -> None:
        """Give back what a job has reserved and not made, in the transaction that ends it."""
        await self.calls.holdings.ended(job.id, connection=connection)

    @asynccontextmanager
    async def cloud_to_clean(self, work: Work, account: str) -> AsyncIterator[Cloud]:
        """Give the account's cloud for removing what the job made, whatever became of its owner."""
        try:
            caller = await self.people.acting(work.owner)
        except (Forbidden, NotFound):
            owner = work.owner
            caller = Caller(
                id=f"job {work.id}",
                name=owner.name,
                scopes=(Scope(),),
                user=owner.user,
                tenant=owner.tenant,
            )
        with as_job(work.id):
            async with AccountUse(self.calls, caller, account) as cloud:
                yield cloud
