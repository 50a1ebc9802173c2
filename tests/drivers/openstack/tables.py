"""Lists of a stand-in for OpenStack's REST services: filters, fields, sorting, pages."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

Item = dict[str, Any]
Query = dict[str, list[str]]

# What is no filter.
OTHER = frozenset({"fields", "limit", "marker", "sort_key", "sort_dir"})


def query_of(target: str) -> Query:
    return parse_qs(urlsplit(target).query, keep_blank_values=True)


def listed(items: Mapping[str, Item], query: Query, key: str) -> dict[str, Any] | None:
    """Return a page of a list, in the order of ids; None for a marker that is not there.

    A full page has a link to the next one, whether there is one or not, as with both services.
    """
    found = [items[id] for id in sorted(items) if fits(items[id], query)]
    if marker := query.get("marker"):
        if marker[0] not in items:
            return None
        found = [item for item in found if item["id"] > marker[0]]
    size = int(query["limit"][0]) if "limit" in query else len(found) + 1
    page = found[:size]
    fields = query.get("fields")
    told: dict[str, Any] = {
        key: [{f: v for f, v in item.items() if not fields or f in fields} for item in page]
    }
    if len(page) == size:
        told[f"{key}_links"] = [{"rel": "next", "href": f"http://x/?marker={page[-1]['id']}"}]
    return told


def fits(item: Item, query: Query) -> bool:
    return all(
        any(_is(item, name, value) for value in values)
        for name, values in query.items()
        if name not in OTHER
    )


def _is(item: Item, name: str, value: str) -> bool:
    told = item.get(name)
    if name == "fixed_ips":
        field, _, wanted = value.partition("=")
        return any(fixed[field] == wanted for fixed in item["fixed_ips"])
    if name == "load_balancer_id":
        return any(owner["id"] == value for owner in item["loadbalancers"])
    if isinstance(told, bool):
        return value == str(told).lower()
    # MariaDB compares so.
    return value in told if isinstance(told, list) else str(told).lower() == value.lower()
