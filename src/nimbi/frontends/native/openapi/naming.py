"""What operations are called, and under what they are told."""

import re
from collections.abc import Mapping

from nimbi.frontends.native.route import Route

# What is told of groups of routes that are no collection of a cloud.
GROUPS: Mapping[str, str] = {
    "accounts": "Stored logins to clouds.",
    "alerts": "What is wrong, and since when.",
    "audit": "Who did what, in a chain that shows what was changed.",
    "bills": "What each tenant owes for a month.",
    "budgets": "What tenants may spend.",
    "checks": "Whether instances and clouds answer.",
    "docs": "What the API tells of itself.",
    "domains": "Tenants that others may be below.",
    "drivers": "The kinds of clouds that this server can speak to.",
    "events": "What changed, in order.",
    "grants": "Who has which role where.",
    "groups": "Users who have the same roles.",
    "holdings": "What tenants have in clouds.",
    "lends": "Which tenants may use an account that is another's.",
    "job-kinds": "What jobs can do, and what they take.",
    "jobs": "Long work, which goes on whatever becomes of processes.",
    "limits": "What tenants may use of accounts.",
    "login": "A token for whoever has a password.",
    "members": "Who is in a group.",
    "objectives": "How good checks are meant to be.",
    "openid": "Sign-in through a provider.",
    "orphans": "What Nimbi made, and nobody owns.",
    "prices": "What a unit of what is used costs.",
    "projects": "Tenants that things belong to.",
    "roles": "What people may do: ordered rules over operations.",
    "schedules": "Jobs that begin by themselves.",
    "silences": "When nobody is told of alerts.",
    "tenant-quotas": "How much tenants may have.",
    "tokens": "Logins to this API.",
    "usage": "What was used, and what it costs.",
    "users": "People who sign in, and programs that have tokens.",
    "webhooks": "URLs that are told of changes.",
}

# What a method does with one of a group, and with all of them.
OF_ONE: Mapping[str, str] = {
    "GET": "get",
    "PATCH": "change",
    "PUT": "set",
    "DELETE": "destroy",
}
OF_ALL: Mapping[str, str] = {"GET": "page", "POST": "create", "DELETE": "end"}

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
