"""Domains and projects: the tree of tenants."""

from collections.abc import Iterator
from functools import partial

from nimbi.frontends.native.answer import Answer, created, json_answer, nothing
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.model.people import NewTenant, TenantChange
from nimbi.store.tenants import KINDS


async def page(kind: str, exchange: Exchange) -> Answer:
    found = await exchange.broker.rights.tenants.page(exchange.caller, kind)
    return json_answer({"items": found})


async def create(kind: str, exchange: Exchange) -> Answer:
    new = await exchange.decoded(NewTenant)
    made = await exchange.broker.rights.tenants.create(exchange.caller, kind, new)
    return created(made, f"/v1/{kind}s/{made.id}")


async def show(kind: str, exchange: Exchange) -> Answer:
    tenants, id = exchange.broker.rights.tenants, exchange.arguments["id"]
    return json_answer(await tenants.get(exchange.caller, id, kind))


async def change(kind: str, exchange: Exchange) -> Answer:
    wish = await exchange.decoded(TenantChange)
    tenants, id = exchange.broker.rights.tenants, exchange.arguments["id"]
    return json_answer(await tenants.change(exchange.caller, id, wish, kind))


async def destroy(kind: str, exchange: Exchange) -> Answer:
    tenants, id = exchange.broker.rights.tenants, exchange.arguments["id"]
    await tenants.destroy(exchange.caller, id, kind)
    return nothing()


def _routes() -> Iterator[Route]:
    for kind, given in KINDS.items():
        place = f"/v1/{kind}s"
        one = place + "/{id}"
        yield Route(
            "GET",
            place,
            partial(page, kind),
            f"{kind}s.page",
            text=f"Return the {kind}s of the caller's tenant and below, by their places.",
            gives=tuple[given, ...],  # type: ignore[valid-type]
        )
        yield Route(
            "POST",
            place,
            partial(create, kind),
            f"{kind}s.create",
            key="whole",
            text=f"Make a {kind} in a domain.",
            takes=NewTenant,
            gives=given,
            status=201,
        )
        yield Route(
            "GET",
            one,
            partial(show, kind),
            f"{kind}s.get",
            text=f"Return one {kind}, by id or place.",
            gives=given,
        )
        yield Route(
            "PATCH",
            one,
            partial(change, kind),
            f"{kind}s.update",
            text=f"Change what is told of a {kind}; another parent moves all that is below.",
            takes=TenantChange,
            gives=given,
        )
        yield Route(
            "DELETE",
            one,
            partial(destroy, kind),
            f"{kind}s.destroy",
            text=f"Remove a {kind} that has nothing any more.",
            status=204,
        )


ROUTES: tuple[Route, ...] = tuple(_routes())
