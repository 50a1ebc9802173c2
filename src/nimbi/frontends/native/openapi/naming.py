"""What operations are called, and under what they are told."""

import re
from collections.abc import Mapping

from nimbi.frontends.native.route import Route

# What is told of groups of routes that are no collection of a cloud.
GROUPS: Mapping[str, str] = {
    "accounts": "Stored logins to clouds.",
    "docs": "What the API tells of itself.",
    "drivers": "The kinds of clouds that this server can speak to.",
    "events": "What changed, in order.",
    "login": "A token for whoever has a password.",
    "orphans": "What Nimbi made, and nobody owns.",
    "tokens": "Logins to this API.",
    "webhooks": "URLs that are told of changes.",
}

# What a method does with one of a group, and with all of them.
OF_ONE: Mapping[str, str] = {"GET": "get", "PATCH": "change", "DELETE": "destroy"}
OF_ALL: Mapping[str, str] = {"GET": "page", "POST": "create"}

# Places that are of one group with the pages.
OF_DOCS: Mapping[str, str] = {"openapi.json": "docs", "problems": "docs"}


def group_of(route: Route) -> str:
    """Return under what a route is told to people: its collection, or one of GROUPS."""
    if route.api is not None:
        return route.api.collection
    parts = [OF_DOCS.get(part, part) for part in route.template.split("/")]
    return next(part for part in reversed(parts) if part in GROUPS)


def operation_id(route: Route) -> str:
    """Return the name by which programs call it: `instances.start`, `all.instances.page`."""
    if route.api is not None:
        return f"all.{route.api.id}" if is_over_all(route) else route.api.id
    group, *_, last = group_of(route), *route.template.removeprefix("/v1/").split("/")
    if group == "docs":
        return f"docs.{re.sub(r'[^a-z0-9]+', '_', route.template.removeprefix('/v1/')).strip('_')}"
    if last.startswith("{"):
        return f"{group}.{OF_ONE[route.method]}"
    return f"{group}.{OF_ALL[route.method] if last == group else last}"


def is_over_all(route: Route) -> bool:
    """Return whether it is the list of a collection over all accounts."""
    return route.api is not None and "{account}" not in route.template
