"""The drivers of this server: what each can do, and what a login to it is made of."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from nimbi.driver.capabilities import INTERFACES, features, supported
from nimbi.driver.interface import Driver
from nimbi.frontends.native.answer import Answer, json_answer
from nimbi.frontends.native.exchange import Exchange
from nimbi.frontends.native.route import Route
from nimbi.gateway.registry import Registry, UnknownDriver
from nimbi.model.errors import NotFound

PLACE = "/v1/drivers"


class DriverFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of cloud, as far as any login to it goes; an account may lack some of it.

    `credentials` is a JSON schema of an account's credentials; `features` are optional fields of
    requests, by collection; `providers` are known ones. `problem` is why it cannot be used here:
    then all else is empty.
    """

    name: str
    title: str = ""
    operations: tuple[str, ...] = ()
    features: Mapping[str, tuple[str, ...]] = {}
    credentials: Mapping[str, Any] = {}
    providers: tuple[str, ...] = ()
    problem: str | None = None


async def page(exchange: Exchange) -> Answer:
    registry = exchange.broker.registry
    # The first use of a driver imports it, which may take a second.
    return json_answer({"items": await asyncio.to_thread(_all, registry)})


async def show(exchange: Exchange) -> Answer:
    registry, name = exchange.broker.registry, exchange.arguments["name"]
    if name not in registry.names():
        raise NotFound(f"there is no driver {name!r}")
    return json_answer(await asyncio.to_thread(facts, registry, name))


def _all(registry: Registry) -> list[DriverFacts]:
    return [facts(registry, name) for name in registry.names()]


def facts(registry: Registry, name: str) -> DriverFacts:
    """Return what is known of a driver; one that cannot be loaded has a `problem`."""
    try:
        driver = registry.driver(name)
    except UnknownDriver as error:
        return DriverFacts(name=name, problem=error.message)
    return DriverFacts(
        name=name,
        title=driver.title,
        operations=tuple(sorted(supported(driver))),
        features=_features(driver),
        credentials=msgspec.json.schema(driver.credentials),
        providers=tuple(sorted({p for kind in driver.entrypoints.values() for p in kind})),
    )


def _features(driver: Driver[Any, Any]) -> Mapping[str, tuple[str, ...]]:
    having = {
        interface.name: tuple(sorted(features(driver, interface))) for interface in INTERFACES
    }
    return {name: found for name, found in having.items() if found}


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        PLACE,
        page,
        "drivers.page",
        text="Return the drivers of this server.",
        gives=tuple[DriverFacts, ...],
    ),
    Route(
        "GET",
        PLACE + "/{name}",
        show,
        "drivers.get",
        text="Return one driver, with a JSON schema of its credentials.",
        gives=DriverFacts,
    ),
)
