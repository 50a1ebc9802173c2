"""The drivers of this server; needs no login, save for the providers of a private cloud."""

import logging
from dataclasses import replace
from typing import Any

from nimbi.driver.interface import Driver
from nimbi.frontends.deltacloud.answers import html_reply, json_reply, xml_reply
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import HTML, JSON
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.frontends.deltacloud.view import segment
from nimbi.gateway.registry import Registry, UnknownDriver
from nimbi.wire.xml import cdata, escape

AnyDriver = Driver[Any, Any]

log = logging.getLogger(__name__)


def loadable(registry: Registry) -> dict[str, AnyDriver]:
    """Return the drivers that can be used, by name; one whose library is missing is left out."""
    found = {}
    for name in registry.names():
        try:
            found[name] = registry.driver(name)
        except UnknownDriver as error:
            log.debug("%s", error)
    return found


async def list_drivers(exchange: Exchange) -> Reply:
    drivers = loadable(exchange.registry)
    only = exchange.parameters.line("id")
    if only is not None:
        drivers = {name: driver for name, driver in drivers.items() if name == only}
    if exchange.format is JSON:
        return json_reply({name: as_json(driver) for name, driver in drivers.items()})
    if exchange.format is HTML:
        members = [_member(name, driver, exchange) for name, driver in drivers.items()]
        return html_reply(pages.collection_page(page_view(exchange), "drivers", members))
    rows = "".join(
        f"  <driver href='{_href(name, exchange)}' id='{escape(name)}'>\n"
        f"    <name>{escape(driver.title)}</name>\n"
        + "".join(f"    <provider id='{escape(p)}'></provider>\n" for p in providers(driver))
        + "  </driver>\n"
        for name, driver in drivers.items()
    )
    return xml_reply(f"<drivers>\n{rows}</drivers>\n")


async def show_driver(exchange: Exchange) -> Reply:
    name = exchange.arguments["id"]
    try:
        driver = exchange.registry.driver(name)
    except UnknownDriver:
        return Reply(404)
    if hasattr(exchange, "cloud"):
        driver = replace(driver, entrypoints=exchange.cloud.entrypoints)
    if exchange.format is JSON:
        return json_reply({"driver": as_json(driver) | {"id": name}})
    if exchange.format is HTML:
        member = _member(name, driver, exchange)
        return html_reply(pages.member_page(page_view(exchange), "drivers", member))
    return xml_reply(
        f"<driver href='{_href(name, exchange)}' id='{escape(name)}'>\n"
        f"  <name>{escape(driver.title)}</name>\n"
        + "".join(_provider(driver, provider) for provider in providers(driver))
        + "</driver>\n"
    )


def providers(driver: AnyDriver) -> list[str]:
    """Return the names of a driver's providers, each once, in the order it tells them."""
    return list(dict.fromkeys(p for by_name in driver.entrypoints.values() for p in by_name))


def as_json(driver: AnyDriver) -> dict[str, Any]:
    told: dict[str, Any] = {"name": driver.title}
    return told | {"entrypoints": driver.entrypoints} if driver.entrypoints else told


def _member(name: str, driver: AnyDriver, exchange: Exchange) -> dict[str, Any]:
    return {
        "id": name,
        "href": _href(name, exchange),
        "providers": providers(driver),
        **as_json(driver),
    }


def _provider(driver: AnyDriver, provider: str) -> str:
    points = "".join(
        f"    <entrypoint kind='{escape(kind)}'>{cdata(by_name[provider])}</entrypoint>\n"
        for kind, by_name in driver.entrypoints.items()
        if provider in by_name
    )
    return f"  <provider id='{escape(provider)}'>\n{points}  </provider>\n"


def _href(name: str, exchange: Exchange) -> str:
    return f"{exchange.api}/drivers/{segment(name)}"
