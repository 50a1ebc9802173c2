"""Reserving what a job is going to make, as part of the transaction in which it begins."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from nimbi.broker.access import Caller
from nimbi.broker.books.call import Shelf
from nimbi.broker.sizing import Fetch
from nimbi.model.instances import NewInstance
from nimbi.store.holdings import Holder, Want
from nimbi.store.quotas import Path

Along = Callable[[AsyncConnection, str], Awaitable[None]]


async def reserved_ahead(
    shelf: Shelf,
    caller: Caller,
    account: str,
    wish: NewInstance,
    tokens: Sequence[str],
    fetch: Fetch,
) -> Along:
    """Check the limits; return what reserves an instance for each token, given the job's id.

    `fetch` asks the account's cloud. Calls that create with these tokens find what was reserved;
    what is left when the job ends is given back by `HoldingStore.ended`. Raises Forbidden; what is
    returned raises QuotaExceeded.
    """
    measured = await shelf.sizing.of_wish(account, "instances", wish, fetch)
    await shelf.limits.check(caller, account, "instances", measured)
    wants = [
        Want(
            account=account,
            token=token,
            collection="instances",
            amounts=measured.amounts,
            name=wish.name,
            kind=(measured.kind or "") if measured.is_sure else None,
        )
        for token in tokens
    ]

    async def along(connection: AsyncConnection, job: str) -> None:
        holder = Holder(caller.user, Path(caller.path))
        await shelf.holdings.reserve(connection, holder, *wants, job=job)

    return along
