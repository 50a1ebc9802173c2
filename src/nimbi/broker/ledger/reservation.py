"""Reserving what a job is going to make, as part of the transaction in which it begins."""

from collections.abc import Awaitable, Callable, Mapping

from nimbi.broker.access import Caller
from nimbi.broker.ledger.entry import Stores
from nimbi.broker.sizing import Fetch
from nimbi.model.instances import NewInstance
from nimbi.store.connection import AsyncConnection
from nimbi.store.holdings import Holder, Want
from nimbi.store.quotas import Path

Along = Callable[[AsyncConnection, str], Awaitable[None]]


async def reservation(
    stores: Stores,
    caller: Caller,
    account: str,
    wish: NewInstance,
    names: Mapping[str, str | None],
    fetch: Fetch,
) -> Along:
    """Check the limits; return what reserves an instance for each token, given the job's id.

    `names` are what the instances are called, by their tokens. `fetch` asks the account's cloud.
    Calls that create with these tokens find what was reserved; what is left when the job ends is
    given back by `HoldingStore.ended`. Raises Forbidden; what is returned raises QuotaExceeded.
    """
    measured = await stores.sizing.of_wish(account, "instances", wish, fetch)
    await stores.limits.check(caller, account, "instances", measured)
    wants = [
        Want(
            account=account,
            token=token,
            collection="instances",
            amounts=measured.amounts,
            name=name,
            kind=(measured.kind or "") if measured.is_sure else None,
        )
        for token, name in names.items()
    ]

    async def along(connection: AsyncConnection, job: str) -> None:
        holder = Holder(caller.user, Path(caller.path))
        await stores.holdings.reserve(connection, holder, *wants, job=job)

    return along
