"""Quotas of tenants, and what tenants hold."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from nimbi.frontends.native.answer import Answer, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.problems import bad_request
from nimbi.frontends.native.route import Route
from nimbi.model.holdings import Drift, Holding, TenantQuota

PLACE = "/v1/tenant-quotas/{tenant}"
HOLDINGS = "/v1/holdings"
ONE = "/v1/accounts/{account}/holdings/{collection}/{id}"
LARGEST_LIMIT = 1000
DEFAULT_LIMIT = 100

Place = tuple[str, str, int]
PLACES = msgspec.json.Decoder(Place)


class Recount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Compare what is counted with what is there; `mend` sets right what differs."""

    mend: bool = False


class HoldingChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose a thing is to be: a tenant, by its id or place."""

    tenant: str


async def page(exchange: Exchange) -> Answer:
    quotas = exchange.broker.quotas
    path = await quotas.path(exchange.caller, exchange.arguments["tenant"])
    return json_answer({"items": await quotas.of(path)})


async def change(exchange: Exchange) -> Answer:
    """Set some quotas, and answer with all."""
    limits = await exchange.decoded(dict[str, int | None])
    quotas = exchange.broker.quotas
    path = await quotas.path(exchange.caller, exchange.arguments["tenant"])
    await quotas.set(exchange.caller, path, limits)
    return json_answer({"items": await quotas.of(path)})


async def recount(exchange: Exchange) -> Answer:
    told = await exchange.decoded(Recount)
    return json_answer({"items": await exchange.broker.quotas.recount(mend=told.mend)})


async def holdings(exchange: Exchange) -> Answer:
    """Answer with a page of what a tenant and those below it have."""
    quotas, query = exchange.broker.quotas, exchange.query
    path = await quotas.path(exchange.caller, query.get("tenant"))
    limit = exchange.number("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    found = await quotas.held(
        path,
        account=query.get("account"),
        collection=query.get("collection"),
        after=_after(query.get("marker")),
        limit=limit + 1,
    )
    items = found[:limit]
    last = items[-1] if len(found) > limit else None
    following = None if last is None else _marker((last.account, last.token, last.number))
    return json_answer({"items": items, "next": following})


async def give(exchange: Exchange) -> Answer:
    """Give a thing to another tenant."""
    told, new = exchange.arguments, await exchange.decoded(HoldingChange)
    quotas = exchange.broker.quotas
    path = await quotas.path(exchange.caller, new.tenant)
    await quotas.adopt(exchange.caller, told["account"], told["collection"], told["id"], path)
    return nothing()


def _marker(last: Place) -> str:
    return urlsafe_b64encode(msgspec.json.encode(last)).decode()


def _after(marker: str | None) -> Place | None:
    if marker is None:
        return None
    try:
        found: Place = PLACES.decode(urlsafe_b64decode(marker))
    except (ValueError, msgspec.DecodeError) as error:
        raise bad_request("this marker was not given for this list") from error
    return found


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "quotas.page",
        text="Return how much a tenant and those below it may have, and have, of each resource.",
        gives=tuple[TenantQuota, ...],
    ),
    Route(
        "PATCH",
        PLACE,
        change,
        "quotas.set",
        text="Set quotas by resource; null is no limit. What a tenant has already stays.",
        takes=dict[str, int | None],
        gives=tuple[TenantQuota, ...],
    ),
    Route(
        "POST",
        HOLDINGS + "/recount",
        recount,
        "quotas.recount",
        key="whole",
        text="Return where what is counted is not what is there; set it right when told to.",
        takes=Recount,
        gives=tuple[Drift, ...],
    ),
    Route(
        "GET",
        HOLDINGS,
        holdings,
        "holdings.page",
        frozenset({"tenant", "account", "collection", "limit", "marker"}),
        text="Return what a tenant and those below it hold in clouds, and what it counts for.",
        gives=tuple[Holding, ...],
    ),
    Route(
        "PATCH",
        ONE,
        give,
        "holdings.update",
        text="Give a thing in a cloud to a tenant, which counts it from now on.",
        takes=HoldingChange,
        status=204,
    ),
)
