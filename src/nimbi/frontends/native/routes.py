"""All routes of the native API, from the tables of its parts."""

from nimbi.frontends.native import (
    accounts,
    contents,
    drivers,
    events,
    lists,
    operations,
    orphans,
    tokens,
    webhooks,
)
from nimbi.frontends.native.pages import handlers as pages
from nimbi.frontends.native.route import Route

ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *tokens.ROUTES,
    *lists.routes(),
    *operations.routes(contents.STREAMS),
    *drivers.ROUTES,
    *events.ROUTES,
    *orphans.ROUTES,
    *webhooks.ROUTES,
    *pages.ROUTES,
)
