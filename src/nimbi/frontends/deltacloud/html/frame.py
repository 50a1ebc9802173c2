"""What stands around every page: menu, path to it, links to other formats and to the docs."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from nimbi.frontends.deltacloud.html.view import PageView
from nimbi.frontends.deltacloud.html.words import GROUPS, WORDS, shown, words_for

PRODUCT = "Nimbi"

Crumb = tuple[str, str]


def frame(
    view: PageView,
    heading: str,
    *,
    collection: str = "",
    crumbs: Sequence[Crumb] = (),
    formats: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the values that the layout needs; `crumbs` are (text, href) between start and page.

    `formats` are the other formats in which the same address can be had, such as `xml`.
    """
    docs = f"/api/docs/{collection}" if collection in WORDS else "/api/docs"
    return {
        "product": PRODUCT,
        "heading": view.title or heading,
        "driver": view.driver,
        "provider": view.provider,
        "user": view.user,
        "request_id": view.request_id,
        "menu": _menu(view, "buckets" if collection == "blobs" else collection),
        "crumbs": [(text, view.link(href)) for text, href in crumbs],
        "formats": [(name.upper(), view.link(_in_format(view.path, name))) for name in formats],
        "home": view.link("/api"),
        "login": view.link("/api?force_auth=1"),
        "docs": view.link(docs),
        "stylesheet": view.link("/stylesheets/nimbi.css"),
    }


def collection_crumbs(*collections: str) -> list[Crumb]:
    """Return the crumbs of collections, each a link to its table."""
    return [(words_for(name).title, f"/api/{name}") for name in collections]


def _menu(view: PageView, current: str) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Return (group, [(title, href, whether it is the present one)]) of what the driver has."""
    groups = []
    for group in GROUPS:
        entries = [
            (words.title, view.link(f"/api/{name}"), name == current)
            for name, words in WORDS.items()
            if words.group == group and shown(view, name)
        ]
        if entries:
            groups.append((group, entries))
    return groups


def _in_format(path: str, name: str) -> str:
    """Return the path with `format=` set, its other query parameters kept."""
    bare, _, query = path.partition("?")
    kept = [(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != "format"]
    return f"{bare}?{urlencode([*kept, ('format', name)], errors='replace')}"
