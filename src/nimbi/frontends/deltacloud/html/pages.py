"""The pages of collections and members, and forms: JSON member dicts in, HTML documents out."""

from collections.abc import Sequence
from typing import Any

from nimbi.frontends.deltacloud.html.actions import buttons
from nimbi.frontends.deltacloud.html.cells import Member, cell, list_at, name_of
from nimbi.frontends.deltacloud.html.columns import FIRST_HEADINGS, column, facts, headings
from nimbi.frontends.deltacloud.html.docs import (
    docs_collection_page,
    docs_index_page,
    docs_operation_page,
)
from nimbi.frontends.deltacloud.html.environment import render, stylesheet
from nimbi.frontends.deltacloud.html.form_table import FORMS
from nimbi.frontends.deltacloud.html.forms import choice_sources, form_fields
from nimbi.frontends.deltacloud.html.frame import collection_crumbs, frame
from nimbi.frontends.deltacloud.html.sections import sections
from nimbi.frontends.deltacloud.html.security import CONTENT_SECURITY_POLICY
from nimbi.frontends.deltacloud.html.server_pages import (
    entry_page,
    error_page,
    index_page,
    states_page,
)
from nimbi.frontends.deltacloud.html.view import FormField, PageView
from nimbi.frontends.deltacloud.html.words import can, words_for

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "choice_sources",
    "collection_page",
    "docs_collection_page",
    "docs_index_page",
    "docs_operation_page",
    "entry_page",
    "error_page",
    "form_fields",
    "form_page",
    "index_page",
    "member_page",
    "message_page",
    "states_page",
    "stylesheet",
]

DATA_FORMATS = ("xml", "json")


def collection_page(view: PageView, collection: str, members: Sequence[Member]) -> str:
    """Return the table of a collection, with what can be done with each member."""
    words = words_for(collection)
    columns = headings(collection, list(members))
    rows = [
        {
            "name": name_of(member),
            "id": cell(view, "id", member.get("id")).text,
            "href": view.link(member.get("href")),
            "cells": [column(view, collection, member, path) for path, _ in columns],
            "buttons": buttons(view, collection, member, with_rare=False),
        }
        for member in members
    ]
    return render(
        "collection.html",
        frame(view, words.title, collection=collection, formats=DATA_FORMATS)
        | {
            "words": words,
            "first": FIRST_HEADINGS.get(collection, "Name"),
            "columns": [heading for _, heading in columns],
            "rows": rows,
            "has_buttons": any(row["buttons"] for row in rows),
            "new": _new(view, collection),
        },
    )


def member_page(view: PageView, collection: str, member: Member) -> str:
    """Return all that is known of one member, its parts in sections, and what it can do."""
    heading = name_of(member)
    return render(
        "member.html",
        frame(
            view,
            heading,
            collection=collection,
            crumbs=_crumbs(collection, member),
            formats=DATA_FORMATS,
        )
        | {
            "words": words_for(collection),
            "facts": facts(view, collection, member),
            "buttons": buttons(view, collection, member),
            "sections": sections(view, collection, member),
        },
    )


def form_page(
    view: PageView,
    collection: str,
    operation: str,
    title: str,
    action_href: str,
    fields: Sequence[FormField],
    method: str = "post",
    multipart: bool = False,
) -> str:
    """Return a page with one form. It posts; `method` other than post and get goes as `_method`.

    `fields` are `form_fields(view, collection, operation, …)` or the caller's own.
    """
    known = FORMS.get((collection, operation))
    sent = method.lower()
    return render(
        "form.html",
        frame(view, title, collection=collection, crumbs=_form_crumbs(collection))
        | {
            "words": words_for(collection),
            "form": {
                "id": "form",
                "action": view.link(action_href),
                "method": "get" if sent == "get" else "post",
                "override": sent if sent not in ("get", "post") else "",
                "multipart": multipart,
                "submit": known.submit if known else title,
                "fields": fields,
                "back": view.link(_back(collection, action_href)),
            },
        },
    )


def message_page(view: PageView, collection: str, heading: str, text: str, output: str = "") -> str:
    """Return a page that tells the outcome of an operation; `output` is shown as it is."""
    return render(
        "message.html",
        frame(view, heading, collection=collection, crumbs=_form_crumbs(collection))
        | {"text": text, "output": output},
    )


def _crumbs(collection: str, member: Member) -> list[tuple[str, str]]:
    if collection != "blobs":
        return collection_crumbs(collection)
    bucket = member.get("bucket")
    named = [bucket] if isinstance(bucket, dict) else list_at(member, "bucket")
    parents = [(name_of(b), str(b.get("href") or "")) for b in named]
    return [*collection_crumbs("buckets"), *parents]


def _form_crumbs(collection: str) -> list[tuple[str, str]]:
    return collection_crumbs("buckets" if collection == "blobs" else collection)


def _back(collection: str, action_href: str) -> str:
    """Return where Cancel leads: the bucket of an upload, otherwise the collection's table."""
    return action_href if collection == "blobs" else f"/api/{collection}"


def _new(view: PageView, collection: str) -> dict[str, Any] | None:
    """Return the button that makes a member: a link to its form, or a post when none is needed."""
    words = words_for(collection)
    if not words.create or not can(view, collection, "create"):
        return None
    needs_form = (collection, "create") in FORMS
    href = f"/api/{collection}/new" if needs_form else f"/api/{collection}"
    return {"label": words.create, "href": view.link(href), "is_link": needs_form}
