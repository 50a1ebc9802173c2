"""All routes of this API."""

from collections.abc import Mapping, Sequence

from nimbi.frontends.deltacloud.formats import HTML, JSON, PAGES
from nimbi.frontends.deltacloud.handlers.docs import (
    docs_collection,
    docs_index,
    docs_operation,
)
from nimbi.frontends.deltacloud.route import Route
from nimbi.frontends.deltacloud.routes import compute, network, networks, server, storage

OPERATIONS: tuple[Route, ...] = (
    *server.ROUTES,
    *compute.ROUTES,
    *network.ROUTES,
    *networks.ROUTES,
    *storage.ROUTES,
)


def by_collection(routes: Sequence[Route]) -> Mapping[str, Sequence[Route]]:
    """Return the documented routes of each collection."""
    found: dict[str, list[Route]] = {}
    for route in routes:
        if route.documented:
            found.setdefault(route.collection, []).append(route)
    return found


DOCUMENTED = by_collection(OPERATIONS)

DOCS: tuple[Route, ...] = tuple(
    Route(
        verb="GET",
        path=path,
        collection="docs",
        operation=f"docs_{at}",
        text="Documentation of this API.",
        handler=handler,
        formats=formats,
        opens_cloud=False,
        documented=False,
    )
    for at, (path, handler, formats) in enumerate(
        (
            ("/api/docs", docs_index(DOCUMENTED, OPERATIONS), (HTML, JSON)),
            ("/api/docs/:collection", docs_collection(DOCUMENTED), PAGES),
            ("/api/docs/:collection/:operation", docs_operation(DOCUMENTED), PAGES),
        )
    )
)

ROUTES: tuple[Route, ...] = (*OPERATIONS, *DOCS)
