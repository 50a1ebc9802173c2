"""The entry point: what the driver can do, the choice of another one, the check of a login."""

from typing import Any
from urllib.parse import quote

from nimbi.frontends.deltacloud.answers import html_reply, json_reply, xml_reply
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.features import WireFeature, offered
from nimbi.frontends.deltacloud.formats import HTML, JSON
from nimbi.frontends.deltacloud.handlers.drivers import as_json, loadable
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Reply, header
from nimbi.frontends.deltacloud.selection import API_VERSION
from nimbi.wire.matrix import PATH_SAFE
from nimbi.wire.xml import escape

Links = list[tuple[str, tuple[WireFeature, ...]]]

# Shown whatever the driver can do, since they describe it.
ALWAYS = ("drivers", "instance_states")


async def show_entry(exchange: Exchange) -> Reply:
    links = collections_of(exchange)
    if exchange.format is JSON:
        return json_reply({"api": _as_json(exchange, links)})
    if exchange.format is HTML:
        drivers = {name: as_json(driver) for name, driver in loadable(exchange.registry).items()}
        told = _as_json(exchange, links)["links"]
        view = page_view(exchange)
        return html_reply(pages.entry_page(view, told, drivers, exchange.notes, lacking(exchange)))
    return xml_reply(_as_xml(exchange, links))


async def choose(exchange: Exchange) -> Reply:
    """Lead to the entry point of the driver or provider that the form on its page chose."""
    driver = exchange.parameters.line("driver")
    provider = exchange.parameters.line("provider")
    if driver is not None:
        return _moved(exchange, f"/api;driver={quote(driver, safe=PATH_SAFE)}")
    if provider is None or provider == "default":
        return _moved(exchange, "/api/")
    before = _driver_of_referer(exchange.text_header(b"referer") or "")
    selected = f";driver={quote(before, safe=PATH_SAFE)}" if before else ""
    return _moved(exchange, f"/api{selected};provider={quote(provider, safe=PATH_SAFE)}")


def collections_of(exchange: Exchange) -> Links:
    """Return the names of the collections that the driver has, sorted, with their features."""
    operations = exchange.operations
    links: Links = [(name, ()) for name in ALWAYS]
    for name, kind in KINDS.items():
        if f"{kind.interface.name}.page" in operations:
            named = exchange.features(kind.interface)
            links.append((name, offered(name, named, operations)))
    return sorted(links, key=lambda link: link[0])


def lacking(exchange: Exchange) -> dict[str, list[str]]:
    """Return what the driver can do and this session can't: `{"networks": ["create", …]}`.

    Collections are named as on the wire, their operations as in the library.
    """
    found = {
        name: sorted(
            id.partition(".")[2]
            for id in exchange.lacks
            if id.partition(".")[0] == kind.interface.name
        )
        for name, kind in KINDS.items()
    }
    return {name: operations for name, operations in sorted(found.items()) if operations}


def _as_xml(exchange: Exchange, links: Links) -> str:
    """Return the document; it has no declaration, as in the original."""
    selection = exchange.selection
    provider = f" provider='{escape(selection.provider)}'" if selection.provider else ""
    inner = "".join(
        f"  <link href='{exchange.api}/{name}' rel='{name}'>\n"
        f"{''.join(map(_feature_xml, features))}  </link>\n"
        for name, features in links
    )
    inner += "".join(
        f"  <note name='{escape(name)}'>{escape(text)}</note>\n"
        for name, text in exchange.notes.items()
    )
    inner += "".join(
        f"  <lacks rel='{name}'>{' '.join(operations)}</lacks>\n"
        for name, operations in lacking(exchange).items()
    )
    driver = escape(selection.driver)
    return f"<api driver='{driver}'{provider} version='{API_VERSION}'>\n{inner}</api>\n"


def _feature_xml(feature: WireFeature) -> str:
    params = "".join(f"      <param name='{p.name}' />\n" for p in feature.shown)
    return (
        f"    <feature name='{feature.name}' rel='{feature.operation}'>\n{params}    </feature>\n"
    )


def _as_json(exchange: Exchange, links: Links) -> dict[str, Any]:
    lacks = lacking(exchange)
    return {
        **({"notes": dict(exchange.notes)} if exchange.notes else {}),
        **({"lacks": lacks} if lacks else {}),
        "version": API_VERSION,
        "driver": exchange.selection.driver,
        "provider": exchange.selection.provider or "default",
        "links": [
            {
                "rel": name,
                "href": f"{exchange.api}/{name}",
                "features": [_feature_json(feature) for feature in features],
            }
            for name, features in links
        ],
    }


def _feature_json(feature: WireFeature) -> list[dict[str, Any]]:
    """Return an array with one object an operation, as in the original."""
    params = [parameter.signature() for parameter in feature.shown]
    return [{"name": feature.name, "rel": feature.operation, "params": params, "constraints": {}}]


def _moved(exchange: Exchange, path: str) -> Reply:
    return Reply(301, headers=(header("location", exchange.base_url + path),))


def _driver_of_referer(referer: str) -> str:
    """Return the `d` of `…/api;driver=d…`, empty when there is none."""
    _, found, rest = referer.partition(";driver=")
    name = rest.partition("/")[0].partition(";")[0].partition("?")[0] if found else ""
    return name if name.isascii() and name.isprintable() and len(name) < 64 else ""
