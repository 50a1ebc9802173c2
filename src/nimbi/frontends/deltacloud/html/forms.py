"""The fields of a form as this driver honours them, with choices and values filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nimbi.frontends.deltacloud.html.form_table import FORMS, Asked
from nimbi.frontends.deltacloud.html.view import FormField, PageView

Choices = Mapping[str, Sequence[tuple[str, str]]]


def form_fields(
    view: PageView,
    collection: str,
    operation: str,
    choices: Choices | None = None,
    values: Mapping[str, str] | None = None,
) -> tuple[FormField, ...]:
    """Return the fields of a form that this driver honours, filled in from `values`.

    `choices` holds (id, label) pairs by collection, see `choice_sources`. Raises KeyError for a
    form that does not exist.
    """
    form = FORMS[collection, operation]
    return tuple(
        _filled(asked, choices or {}, values or {})
        for asked in form.fields
        if _honoured(view, asked)
    )


def choice_sources(view: PageView, collection: str, operation: str) -> tuple[str, ...]:
    """Return the collections whose members the form offers as choices, in order, each once."""
    asked = FORMS[collection, operation].fields
    return tuple(dict.fromkeys(a.source for a in asked if a.source and _honoured(view, a)))


def _honoured(view: PageView, asked: Asked) -> bool:
    return not asked.needs or asked.needs in view.features or asked.needs in view.operations


def _filled(asked: Asked, choices: Choices, values: Mapping[str, str]) -> FormField:
    given = values.get(asked.field.name, asked.field.value)
    if not asked.source:
        return replace(asked.field, value=given)
    offered = tuple(choices.get(asked.source, ()))
    if not offered:
        return replace(asked.field, kind="text", value=given)
    # A value that is not in the list (there may be more than a page of them) must stay choosable.
    if given and given not in {value for value, _ in offered}:
        offered = ((given, given), *offered)
    blank = () if asked.field.required else (("", asked.blank),)
    return replace(asked.field, choices=(*blank, *offered), value=given)
