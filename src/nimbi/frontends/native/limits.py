"""Limits: which regions and sizes of an account tenants may use, and at which price."""

import msgspec

from nimbi.broker.access import may_see
from nimbi.frontends.native.answer import Answer, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.errors import Forbidden, NotFound
from nimbi.model.holdings import Limit
from nimbi.model.people import ROOT

PLACE = "/v1/tenants/{tenant}/limits"
ONE = PLACE + "/{account}"


class NewLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant, and those below it, may use of an account; null is no limit.

    `regions` are ids of realms, or beginnings of them with `*` behind; `sizes` so of hardware
    profiles. `price_hour_micros` is the most that one new thing may cost an hour.
    """

    regions: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    price_hour_micros: int | None = None


async def page(exchange: Exchange) -> Answer:
    """Answer with the limits of a tenant, and with those of all above, which hold for it too."""
    told = exchange.arguments["tenant"]
    path = await exchange.broker.quotas.path(exchange.caller, told)
    return json_answer({"items": await exchange.broker.limits.page(path.tenants)})


async def put(exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewLimit)
    tenant = await _tenant(exchange)
    limit = Limit(
        tenant=tenant,
        account=await _account(exchange),
        regions=new.regions,
        sizes=new.sizes,
        price_hour_micros=new.price_hour_micros,
    )
    return json_answer(await exchange.broker.limits.set(limit))


async def remove(exchange: Exchange) -> Answer:
    tenant = await _tenant(exchange)
    await exchange.broker.limits.remove(tenant, exchange.arguments["account"])
    return nothing()


async def _account(exchange: Exchange) -> str:
    """Return the account in the path. Raises NotFound for one that the caller does not see too."""
    id = exchange.arguments["account"]
    if not may_see(exchange.caller, id):
        raise NotFound(f"there is no account {id[:60]!r}")
    return (await exchange.broker.accounts.get(id)).id


async def _tenant(exchange: Exchange) -> str:
    """Return the id of the tenant in the path. Raises Forbidden for the caller's own."""
    caller = exchange.caller
    path = await exchange.broker.quotas.path(caller, exchange.arguments["tenant"])
    if path.tenant == caller.tenant and caller.tenant != ROOT:
        raise Forbidden("the limits of a tenant are set by those above it")
    return path.tenant


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "limits.page",
        text="Return what a tenant may use of accounts: its limits, and those of all above it.",
        gives=tuple[Limit, ...],
    ),
    Route(
        "PUT",
        ONE,
        put,
        "limits.set",
        text="Limit what a tenant, and those below it, may use of an account.",
        takes=NewLimit,
        gives=Limit,
    ),
    Route(
        "DELETE",
        ONE,
        remove,
        "limits.destroy",
        text="Let a tenant use of an account what those above it may.",
        status=204,
    ),
)
