"""The pages with forms, for people; programs post right away."""

import asyncio

from nimbi.driver.capabilities import OPERATIONS
from nimbi.frontends.deltacloud.answers import html_reply, view_of
from nimbi.frontends.deltacloud.catalog import KINDS
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.handlers.collections import PAGE_SIZE
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.html.form_table import FORMS
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.frontends.deltacloud.route import Handler
from nimbi.frontends.deltacloud.view import segment
from nimbi.model.errors import CloudError, Unauthorized

Choices = dict[str, list[tuple[str, str]]]


def form(collection: str, operation: str, action: str) -> Handler:
    """Return the handler of a form that posts to `action`, such as `/addresses/:id/associate`."""
    described = FORMS[collection, operation]

    async def handler(exchange: Exchange) -> Reply:
        view = page_view(exchange)
        sources = pages.choice_sources(view, collection, operation)
        fields = pages.form_fields(
            view, collection, operation, await _choices(exchange, sources), exchange.query
        )
        page = pages.form_page(
            view,
            collection,
            operation,
            described.title,
            _href(exchange, action),
            fields,
            multipart=described.multipart,
        )
        return html_reply(page)

    return handler


def _href(exchange: Exchange, action: str) -> str:
    parts = (
        segment(exchange.arguments[part[1:]]) if part.startswith(":") else part
        for part in action.split("/")
    )
    return exchange.api + "/".join(parts)


async def _choices(exchange: Exchange, sources: tuple[str, ...]) -> Choices:
    """Return (id, label) pairs by collection; what the cloud does not tell has none."""
    listed = await asyncio.gather(*(_members(exchange, source) for source in sources))
    return dict(zip(sources, listed, strict=True))


async def _members(exchange: Exchange, collection: str) -> list[tuple[str, str]]:
    kind = KINDS[collection]
    if OPERATIONS[kind.page].id not in exchange.operations:
        return []
    try:
        page = await exchange.cloud.call(kind.page, None, PAGE_SIZE)
    except Unauthorized:
        raise
    except CloudError:
        # The form works without the list: then the id is typed in.
        return []
    view = view_of(exchange)
    return [(item.id, _label(kind.json(item, view))) for item in page.items]


def _label(member: dict[str, object]) -> str:
    name, id = member.get("name"), str(member["id"])
    return f"{name} ({id})" if name and name != id else id
