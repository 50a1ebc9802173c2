"""Answers that many operations give: a list, a member, a redirect for people, nothing."""

from collections.abc import Sequence
from typing import Any

import msgspec

from nimbi.frontends.deltacloud.catalog import Kind
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import HTML, JSON
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Headers, Reply, header
from nimbi.frontends.deltacloud.view import View, segment
from nimbi.wire.xml import DECLARATION

APPLICATION_XML = "application/xml"
APPLICATION_JSON = "application/json"
TEXT_HTML = "text/html"

_encode = msgspec.json.Encoder().encode


def view_of(exchange: Exchange) -> View:
    return View(exchange.api, exchange.cloud.operations, exchange.cloud)


def listed(exchange: Exchange, kind: Kind, items: Sequence[Any], status: int = 200) -> Reply:
    """Answer with a whole collection."""
    if exchange.format is HTML:
        view = view_of(exchange)
        members = [kind.json(item, view) for item in items]
        return html_reply(pages.collection_page(page_view(exchange), kind.name, members), status)
    cloud = exchange.cloud
    # What a document depends on besides its list.
    how = (kind.name, exchange.format, exchange.base_url, cloud.driver.name, cloud.operations)
    document = exchange.documents.find(items, how)
    if document is None:
        document = exchange.documents.keep(items, how, _list_body(exchange, kind, items))
    media_type = APPLICATION_JSON if exchange.format is JSON else APPLICATION_XML
    return Reply(status, document.body, media_type, tag=document.tag)


def _list_body(exchange: Exchange, kind: Kind, items: Sequence[Any]) -> bytes:
    view = view_of(exchange)
    if exchange.format is JSON:
        return _encode({kind.name: [kind.json(item, view) for item in items]})
    rows = "".join([kind.xml(item, view) for item in items])
    return f"{DECLARATION}<{kind.name}>\n{rows}</{kind.name}>\n".encode("utf-8", "replace")


def shown(
    exchange: Exchange, kind: Kind, item: Any, status: int = 200, *, wrapped: bool = True
) -> Reply:
    """Answer with one member. `wrapped` False leaves out JSON's wrapper, as instance actions do."""
    view = view_of(exchange)
    if exchange.format is JSON:
        member = kind.json(item, view)
        return json_reply({kind.singular: member} if wrapped else member, status)
    if exchange.format is HTML:
        return html_reply(
            pages.member_page(page_view(exchange), kind.name, kind.json(item, view)), status
        )
    return xml_reply(DECLARATION + outdented(kind.xml(item, view)), status)


def created(exchange: Exchange, kind: Kind, item: Any, id: str, *, located: bool = True) -> Reply:
    """Answer with a new member, 201; people are led to its page."""
    reply = shown(exchange, kind, item, 201)
    if located:
        location = f"{exchange.api}/{kind.name}/{segment(id)}"
        reply.headers = (*reply.headers, header("location", location))
    return reply


def gone(exchange: Exchange, href: str) -> Reply:
    """Answer to a destroy: nothing, or for people the page `href` below the entry point."""
    return redirect(exchange, href) if exchange.format is HTML else Reply(204)


def redirect(exchange: Exchange, href: str, status: int = 303) -> Reply:
    """Lead to a path below the entry point, the selection kept: `/instances/i-1`."""
    location = exchange.base_url + exchange.selection.root + href
    return Reply(status, headers=(header("location", location),))


def xml_reply(document: str, status: int = 200, headers: Headers = ()) -> Reply:
    return Reply(status, document.encode("utf-8", "replace"), APPLICATION_XML, headers)


def json_reply(document: Any, status: int = 200, headers: Headers = ()) -> Reply:
    return Reply(status, _encode(document), APPLICATION_JSON, headers)


def html_reply(page: str, status: int = 200) -> Reply:
    return Reply(status, page.encode("utf-8", "replace"), TEXT_HTML)


def outdented(element: str) -> str:
    """Return an element of a list as a document of its own, texts of many lines untouched."""
    markup, *rest = element[2:].split("<![CDATA[")
    parts = [markup.replace("\n  ", "\n")]
    for part in rest:
        text, _, markup = part.partition("]]>")
        parts.append(f"<![CDATA[{text}]]>" + markup.replace("\n  ", "\n"))
    return "".join(parts)
