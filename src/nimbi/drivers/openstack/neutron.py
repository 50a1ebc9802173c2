"""Lists and names of Neutron and Octavia."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nimbi.drivers.openstack import lists
from nimbi.drivers.openstack.lists import Json, all_of
from nimbi.drivers.openstack.marks import checked
from nimbi.drivers.openstack.session import Session

__all__ = ["Json", "all_of", "described", "is_of_instance", "matching", "name_of", "page_of"]

# A list may be asked for so many ids at once: addresses of requests have an end.
MOST_IDS = 100
# How the owners of instances' ports begin; others are of routers, DHCP, balancers….
INSTANCE_OWNERS = ("compute:", "baremetal:")


def name_of(name: str | None, what: str) -> str:
    """Return a name as Neutron takes it. Raises Invalid for what it would not keep as it is."""
    return checked(name or "", f"the name of the {what}")


def is_of_instance(port: Json) -> bool:
    """Return whether a port is that of an instance, whose id is then its `device_id`."""
    return (port.get("device_owner") or "").startswith(INSTANCE_OWNERS)


async def page_of(
    session: Session,
    path: str,
    marker: str | None,
    limit: int,
    query: Mapping[str, Any] | None = None,
    *,
    service: str = "network",
    wanted: Callable[[Json], bool] = lambda _: True,
) -> tuple[tuple[Json, ...], str | None]:
    """Return a page of a list, as `lists.page_of` does, of things that are `wanted`."""
    return await lists.page_of(
        session, service, path, marker, limit, lambda i: i if wanted(i) else None, query
    )


async def matching(
    session: Session,
    path: str,
    field: str,
    values: Iterable[str],
    query: Mapping[str, Any] | None = None,
) -> list[Json]:
    """Return all things of a list with one of these values in a field."""
    rest = sorted(set(values))
    found: list[Json] = []
    while rest:
        some, rest = rest[:MOST_IDS], rest[MOST_IDS:]
        found += await all_of(session, path, {**(query or {}), field: some})
    return found


async def described(session: Session, path: str, description: str) -> list[Json]:
    """Return the things with exactly this description."""
    found = await all_of(session, path, {"description": description})
    # Databases may compare without regard to case and accents.
    return [each for each in found if each.get("description") == description]
