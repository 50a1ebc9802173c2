"""What stands beside the API: the start page, the style sheet, robots.txt."""

from nimbi.frontends.deltacloud.answers import html_reply, json_reply, xml_reply
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import DOCUMENTS, HTML, JSON, chosen
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Reply, not_acceptable

ROBOTS = b"User-agent: *\nDisallow: /\n"

FRONTENDS = {"Deltacloud API": "/api"}

PATHS = frozenset({b"/", b"/robots.txt", b"/stylesheets/nimbi.css"})


def answer(raw_path: bytes, exchange: Exchange) -> Reply:
    """Return the answer to one of PATHS. Raises Refusal for a format that there is not."""
    if raw_path == b"/robots.txt":
        return Reply(200, ROBOTS, "text/plain")
    if raw_path == b"/stylesheets/nimbi.css":
        return Reply(200, pages.stylesheet(), "text/css")
    format = chosen(
        exchange.query.get("format"), exchange.headers.get(b"accept") or b"*/*", DOCUMENTS
    )
    if format is None:
        raise not_acceptable()
    exchange.format = format
    if format is JSON:
        return json_reply({"frontends": [{"id": "deltacloud", "href": exchange.api}]})
    if format is HTML:
        return html_reply(pages.index_page(page_view(exchange), FRONTENDS))
    row = f"  <frontend href='{exchange.api}' id='deltacloud'></frontend>\n"
    return xml_reply(f"<frontends>\n{row}</frontends>\n")
