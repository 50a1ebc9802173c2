"""Names where people read: places of tenants, names of users and groups, instead of ids."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nimbi.cli.command import Desk
from nimbi.model.errors import CloudError

# What the ids in a field are of: the lists that tell their names, and what a name is there.
TENANTS, USERS, GROUPS = (
    (("domains", "projects"), "place"),
    (("users",), "name"),
    (("groups",), "name"),
)
FIELDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "tenant": TENANTS,
    "parent": TENANTS,
    "user": USERS,
    "group": GROUPS,
    "given_by": USERS,
    "members": USERS,
}
# Their names are their ids.
SELVES = frozenset({"root", "admin"})


def named(desk: Desk, items: Iterable[Any]) -> list[Any]:
    """Return items with names in the place of ids, when people are to read them.

    What the caller may not look up keeps its id; so do all items that programs read.
    """
    found = list(items)
    if desk.form != "table":
        return found
    names: dict[str, dict[str, str]] = {}
    return [{**item, **_told(desk, item, names)} for item in found]


def named_one(desk: Desk, item: Any) -> Any:
    """Return one thing as `named` does."""
    return named(desk, [item])[0]


def named_pages(desk: Desk, pages: Iterable[Any]) -> Iterator[Any]:
    """Return the pages of a list as `named` does."""
    for page in pages:
        yield {**page, "items": named(desk, page["items"])}


def _told(desk: Desk, item: Any, names: dict[str, dict[str, str]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for field, (lists, name) in FIELDS.items():
        value = item.get(field)
        if isinstance(value, str) and value and value not in SELVES:
            told[field] = _names(desk, lists, name, names).get(value, value)
        elif isinstance(value, list):
            known = _names(desk, lists, name, names)
            told[field] = [known.get(each, each) for each in value]
    return told


def _names(
    desk: Desk, lists: tuple[str, ...], name: str, names: dict[str, dict[str, str]]
) -> dict[str, str]:
    """Return the names by id, looked up once."""
    if lists[0] not in names:
        known = names[lists[0]] = {}
        for each in lists:
            try:
                items = desk.remote.ask("GET", f"/v1/{each}").value["items"]
            except CloudError:
                continue
            known.update({item["id"]: item[name] for item in items})
    return names[lists[0]]
