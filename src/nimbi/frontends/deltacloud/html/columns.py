"""Which values each collection's table and each member's page show, in which order."""

from collections.abc import Mapping

from nimbi.frontends.deltacloud.html.cells import NONE, Cell, Member, at, cell, name_of, text_of
from nimbi.frontends.deltacloud.html.view import PageView
from nimbi.frontends.deltacloud.html.words import label_of

# Keys (or dotted paths) of a member's JSON; the first column, its name, is not told here.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "instances": ("state", "image", "hardware_profile", "realm", "public_addresses"),
    "images": ("description", "state", "architecture", "owner"),
    "hardware_profiles": (
        "properties.cpu",
        "properties.memory",
        "properties.storage",
        "properties.architecture",
    ),
    "realms": ("state", "limit"),
    "keys": ("credential_type", "fingerprint"),
    "metrics": ("entity", "properties"),
    "storage_volumes": ("state", "capacity", "instance", "device", "realm", "created"),
    "storage_snapshots": ("state", "storage_volume", "created"),
    "buckets": ("size",),
    "addresses": ("associated", "instance_id"),
    "firewalls": ("description", "rules", "owner_id"),
    "load_balancers": ("public_addresses", "listeners", "realms", "instances", "created_at"),
    "networks": ("state", "address_blocks", "subnets"),
    "subnets": ("state", "address_block", "network", "type"),
    "network_interfaces": ("ip_address", "network", "instance"),
    "drivers": ("providers",),
}
HEADINGS: Mapping[tuple[str, str], str] = {
    ("buckets", "size"): "Blobs",
    ("metrics", "properties"): "Measured",
    ("addresses", "associated"): "In use",
    ("addresses", "instance_id"): "Points at",
    ("storage_volumes", "instance"): "Attached to",
    ("storage_snapshots", "storage_volume"): "Of volume",
}
# The heading of the first column where it is not simply the name.
FIRST_HEADINGS: Mapping[str, str] = {"addresses": "Address", "metrics": "Instance"}
# Shown as the heading, as buttons or in a section of their own, or (content) too big for a page.
ELSEWHERE = frozenset({"id", "href", "name", "actions", "content", "content_href"})
SECTIONS: Mapping[str, frozenset[str]] = {
    "addresses": frozenset({"ip"}),
    "buckets": frozenset({"blob_list"}),
    "firewalls": frozenset({"rules"}),
    "metrics": frozenset({"properties"}),
    "hardware_profiles": frozenset({"properties"}),
    "load_balancers": frozenset({"instances"}),
    "blobs": frozenset({"user_metadata"}),
    "drivers": frozenset({"entrypoints", "providers"}),
}


def headings(collection: str, members: list[Member]) -> list[tuple[str, str]]:
    """Return (path, heading) of the columns of which at least one member has a value."""
    paths = COLUMNS.get(collection) or _own_keys(members)
    told = [p for p in paths if any(at(m, p) not in (None, "", [], {}) for m in members)]
    return [(path, heading(collection, path)) for path in told]


def heading(collection: str, path: str) -> str:
    """Return the heading of a column or fact."""
    return HEADINGS.get((collection, path)) or label_of(path.rpartition(".")[2])


def column(view: PageView, collection: str, member: Member, path: str) -> Cell:
    """Return the cell of one column."""
    value = at(member, path)
    if (collection, path) == ("metrics", "properties"):
        value = _names(value)
    return cell(view, path.rpartition(".")[2], value)


def facts(view: PageView, collection: str, member: Member) -> list[tuple[str, Cell]]:
    """Return (label, cell) of all that a member tells and no section shows: columns first."""
    hidden = ELSEWHERE | SECTIONS.get(collection, frozenset())
    first = [path for path in COLUMNS.get(collection, ()) if path in member]
    keys = [*first, *(key for key in member if key not in first)]
    shown = [(heading(collection, k), cell(view, k, member[k])) for k in keys if k not in hidden]
    own_id = text_of(member.get("id"))
    known = [("Id", Cell(kind="text", text=own_id))] if own_id != name_of(member) else []
    return [*known, *((label, c) for label, c in shown if c is not NONE)]


def _names(value: object) -> object:
    """Return the names of the members of a list, joined: nine measured things are one line."""
    items = value if isinstance(value, list | tuple) else ()
    names = [text_of(item.get("name")) for item in items if isinstance(item, Mapping)]
    return ", ".join(label_of(name) for name in names if name)


def _own_keys(members: list[Member]) -> tuple[str, ...]:
    """Return the keys to show of a collection that has no columns of its own."""
    keys = dict.fromkeys(key for member in members for key in member)
    return tuple(key for key in keys if key not in ELSEWHERE)[:6]
