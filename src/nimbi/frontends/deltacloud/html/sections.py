"""The parts of a member's page below its facts: tables, charts and forms, by collection."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nimbi.frontends.deltacloud.html.actions import Button
from nimbi.frontends.deltacloud.html.cells import (
    NONE,
    Cell,
    Member,
    cell,
    list_at,
    name_of,
    text_of,
)
from nimbi.frontends.deltacloud.html.charts import SAMPLE_COLUMNS, Chart, charts
from nimbi.frontends.deltacloud.html.form_table import FORMS
from nimbi.frontends.deltacloud.html.forms import form_fields
from nimbi.frontends.deltacloud.html.view import FormField, PageView, segment
from nimbi.frontends.deltacloud.html.words import label_of

Row = tuple[Sequence[Cell], Sequence[Button]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with a table, charts or a form under it; `empty` stands in for an empty table."""

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Row] = ()
    empty: str = ""
    charts: Sequence[Chart] = ()
    sample_columns: Sequence[str] = ()
    form: Mapping[str, Any] | None = None


def sections(view: PageView, collection: str, member: Member) -> list[Section]:
    """Return the sections of a member's page, in the order they are shown."""
    make = SECTIONS_OF.get(collection)
    return make(view, member) if make else []


def _inline_form(view: PageView, collection: str, operation: str, href: str) -> list[Section]:
    """Return a form as a section, nothing when the driver cannot do it."""
    form = FORMS[collection, operation]
    if form.operation not in view.operations:
        return []
    shown = {
        "id": operation,
        "action": view.link(href),
        "method": "post",
        "override": "",
        "multipart": form.multipart,
        "submit": form.submit,
        "fields": form_fields(view, collection, operation),
        "back": "",
    }
    return [Section(title=form.title, form=shown)]


def _confirm(view: PageView, operation: str, member: Member) -> list[Button]:
    if operation not in view.operations:
        return []
    href = view.link(member.get("href"))
    return [Button(label="Destroy", look="confirm", href=href, about=text_of(member.get("id")))]


def _bucket(view: PageView, member: Member) -> list[Section]:
    blobs = list_at(member, "blob_list")
    rows = [([cell(view, "blob", blob)], _confirm(view, "blobs.destroy", blob)) for blob in blobs]
    table = Section(
        title="Blobs", columns=("Name",), rows=rows, empty="The bucket is empty. Upload a file."
    )
    return [table, *_inline_form(view, "blobs", "create", _own(member))]


def _blob(view: PageView, member: Member) -> list[Section]:
    metadata = member.get("user_metadata")
    pairs = metadata.items() if isinstance(metadata, Mapping) else ()
    rows: list[Row] = [
        ([Cell(kind="text", text=str(key)), cell(view, "value", value)], []) for key, value in pairs
    ]
    table = Section(
        title="Metadata", columns=("Name", "Value"), rows=rows, empty="It has no metadata."
    )
    return [table, *_metadata_form(view, member, [(str(k), text_of(v)) for k, v in pairs])]


def _metadata_form(view: PageView, blob: Member, entries: list[tuple[str, str]]) -> list[Section]:
    """Return the form that replaces all metadata: what there is, and room for two more."""
    if "blobs.set_metadata" not in view.operations:
        return []
    room = [*entries, ("", ""), ("", "")]
    fields = [FormField(name="meta_params", label="", kind="hidden", value=str(len(room)))]
    for number, (name, value) in enumerate(room, start=1):
        fields += [
            FormField(name=f"meta_name{number}", label=f"Name {number}", value=name),
            FormField(name=f"meta_value{number}", label=f"Value {number}", value=value),
        ]
    form = {
        "id": "metadata",
        "action": view.link(_own(blob)),
        "method": "post",
        "override": "",
        "multipart": False,
        "submit": "Save metadata",
        "fields": fields,
        "back": "",
    }
    return [Section(title="Change metadata", form=form)]


def _firewall(view: PageView, member: Member) -> list[Section]:
    rows = [_rule(view, member, rule) for rule in list_at(member, "rules")]
    table = Section(
        title="Rules",
        columns=("Protocol", "Ports", "From", "Direction"),
        rows=rows,
        empty="No rule yet, so nothing comes in. Add one.",
    )
    return [table, *_inline_form(view, "firewalls", "create_rule", f"{_own(member)}/rules")]


def _rule(view: PageView, firewall: Member, rule: Member) -> Row:
    ends = [text_of(rule.get("port_from")), text_of(rule.get("port_to"))]
    href = text_of(rule.get("href"))
    own = href or f"{_own(firewall)}/{segment(text_of(rule.get('id')))}"
    sources = tuple(
        Cell(kind="text", text=text) for text in map(_source, list_at(rule, "sources")) if text
    )
    shown = [
        cell(view, "allow_protocol", rule.get("allow_protocol")),
        Cell(kind="text", text=" to ".join(dict.fromkeys(end for end in ends if end))),
        Cell(kind="many", items=sources) if sources else NONE,
        cell(view, "direction", rule.get("direction")),
    ]
    return shown, _confirm(view, "firewalls.destroy_rule", {"id": rule.get("id"), "href": own})


def _source(source: Member) -> str:
    """Return `10.0.0.0/8`, or `firewall web (owner)`."""
    address, prefix = text_of(source.get("address")), text_of(source.get("prefix"))
    if address:
        return f"{address}/{prefix}" if prefix else address
    owner = text_of(source.get("owner")) or text_of(source.get("owner_id"))
    name = text_of(source.get("name"))
    return f"firewall {name}" + (f" ({owner})" if owner else "") if name else ""


def _balancer(view: PageView, member: Member) -> list[Section]:
    rows = [
        ([cell(view, "instance", instance)], _unregister(view, member, instance))
        for instance in list_at(member, "instances")
    ]
    table = Section(
        title="Instances",
        columns=("Instance",),
        rows=rows,
        empty="No instance is registered, so nothing answers. Register one.",
    )
    return [
        table,
        *_inline_form(view, "load_balancers", "register", f"{_own(member)}/register"),
    ]


def _unregister(view: PageView, balancer: Member, instance: Member) -> list[Button]:
    if "load_balancers.unregister" not in view.operations:
        return []
    own_id = text_of(instance.get("id"))
    href = f"{_own(balancer)}/unregister?instance_id={segment(own_id)}"
    return [Button(label="Unregister", look="post", href=view.link(href), about=own_id)]


def _profile(view: PageView, member: Member) -> list[Section]:
    properties = member.get("properties")
    pairs = properties.items() if isinstance(properties, Mapping) else ()
    rows: list[Row] = [
        ([Cell(kind="text", text=label_of(str(key))), cell(view, str(key), value)], [])
        for key, value in pairs
    ]
    return [
        Section(
            title="Properties",
            columns=("Property", "Value"),
            rows=rows,
            empty="Only the cloud knows the size of this profile.",
        )
    ]


def _metric(view: PageView, member: Member) -> list[Section]:
    shown = charts(member)
    columns = tuple(label_of(name) for name in SAMPLE_COLUMNS)
    empty = "" if shown else "Nothing was measured yet."
    return [Section(title="Measured", charts=shown, sample_columns=columns, empty=empty)]


def _driver(view: PageView, member: Member) -> list[Section]:
    entrypoints = member.get("entrypoints")
    kinds = entrypoints.items() if isinstance(entrypoints, Mapping) else ()
    rows: list[Row] = [
        ([Cell(kind="text", text=text_of(text)) for text in (provider, kind, url)], [])
        for kind, urls in kinds
        for provider, url in (urls.items() if isinstance(urls, Mapping) else ())
    ]
    listed: list[Row] = [
        ([Cell(kind="text", text=_provider(p)), NONE, NONE], [])
        for p in _items(member.get("providers"))
        if _provider(p)
    ]
    return [
        Section(
            title="Providers",
            columns=("Provider", "Kind", "Address"),
            rows=rows or listed,
            empty="This driver has one provider only: its default.",
        )
    ]


def _provider(provider: object) -> str:
    return name_of(provider) if isinstance(provider, Mapping) else text_of(provider)


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _own(member: Member) -> str:
    return text_of(member.get("href"))


SECTIONS_OF: Mapping[str, Callable[[PageView, Member], list[Section]]] = {
    "blobs": _blob,
    "buckets": _bucket,
    "drivers": _driver,
    "firewalls": _firewall,
    "hardware_profiles": _profile,
    "load_balancers": _balancer,
    "metrics": _metric,
}
