"""The documentation pages: all collections, one collection, one operation."""

from collections.abc import Sequence
from typing import Any

from nimbi.frontends.deltacloud.html.environment import render
from nimbi.frontends.deltacloud.html.frame import frame
from nimbi.frontends.deltacloud.html.view import CollectionDoc, OperationDoc, PageView
from nimbi.frontends.deltacloud.html.words import words_for

# Blobs are listed in their bucket.
BROWSED = {"blobs": "buckets"}

ROOT = ("Documentation", "/api/docs")


def docs_index_page(view: PageView, collections: Sequence[CollectionDoc]) -> str:
    """Return the page of `/api/docs`."""
    shown = [
        {
            "title": words_for(told.name).title,
            "text": told.text or words_for(told.name).text,
            "href": view.link(f"/api/docs/{told.name}"),
            "operations": [_linked(view, told.name, operation) for operation in told.operations],
        }
        for told in collections
    ]
    values = frame(view, "Documentation") | {
        "collections": shown,
        "openapi": view.link("/api/docs?format=json"),
    }
    return render("docs_index.html", values)


def docs_collection_page(view: PageView, collection: CollectionDoc) -> str:
    """Return the page of `/api/docs/<collection>`."""
    words = words_for(collection.name)
    values = frame(view, words.title, collection=collection.name, crumbs=[ROOT]) | {
        "text": collection.text or words.text,
        "browse": view.link(f"/api/{BROWSED.get(collection.name, collection.name)}"),
        "operations": [_linked(view, collection.name, one) for one in collection.operations],
    }
    return render("docs_collection.html", values)


def docs_operation_page(view: PageView, collection: str, operation: OperationDoc) -> str:
    """Return the page of `/api/docs/<collection>/<operation>`."""
    words = words_for(collection)
    crumbs = [ROOT, (words.title, f"/api/docs/{collection}")]
    values = frame(view, operation.name, collection=collection, crumbs=crumbs)
    return render("docs_operation.html", values | {"operation": operation, "words": words})


def _linked(view: PageView, collection: str, operation: OperationDoc) -> dict[str, Any]:
    href = view.link(f"/api/docs/{collection}/{operation.name}")
    return {"operation": operation, "href": href}
