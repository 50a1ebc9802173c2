"""Whether a request that Nova refused would have gone beyond a limit.

Nova answers 403 and the same fault code for a limit and for what a role may not do.
"""

from collections.abc import Awaitable, Callable, Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any

from nimbi.drivers.openstack.calls import quoted
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.model.errors import CloudError

if TYPE_CHECKING:
    from nimbi.drivers.openstack.session import Session

Limits = Mapping[str, Any]

SERVER_PART = pattern(r"/servers/([^/]+)/(\w+)\Z")


async def is_exceeded(session: "Session", path: str, body: Any) -> bool:
    """Return whether a limit of the project does not allow what was asked for."""
    try:
        limits = (await session.get("compute", "/limits"))["limits"]["absolute"]
        asked = ASKED.get(path)
        if asked is not None:
            return await asked(session, limits, body)
        found = SERVER_PART.match(path)
        return found is not None and await _of_server(session, limits, body, *found.groups())
    except (OpenStackError, CloudError, LookupError, TypeError, ValueError):
        # What cannot be told is taken as it was said.
        return False


async def _servers(session: "Session", limits: Limits, body: Any) -> bool:
    server = body["server"]
    count = int(server.get("min_count") or 1)
    return (
        _is_beyond(limits, "maxTotalInstances", "totalInstancesUsed", count)
        or len(server.get("metadata") or {}) > _most(limits, "maxServerMeta")
        or await _is_large(session, limits, server["flavorRef"], None, count)
    )


async def _keys(session: "Session", limits: Limits, _body: Any) -> bool:
    most = _most(limits, "maxTotalKeypairs")
    count = 0
    async for _ in session.each("compute", "/os-keypairs", "keypairs"):
        count += 1
    return count + 1 > most


async def _groups(_session: "Session", limits: Limits, _body: Any) -> bool:
    return _is_beyond(limits, "maxServerGroups", "totalServerGroupsUsed", 1)


ASKED: Mapping[str, Callable[["Session", Limits, Any], Awaitable[bool]]] = {
    "/servers": _servers,
    "/os-keypairs": _keys,
    "/os-server-groups": _groups,
}


async def _of_server(session: "Session", limits: Limits, body: Any, id: str, part: str) -> bool:
    if part == "metadata":
        return len(body["metadata"]) > _most(limits, "maxServerMeta")
    if part == "action" and "resize" in body:
        server = (await session.get("compute", f"/servers/{id}"))["server"]
        return await _is_large(session, limits, body["resize"]["flavorRef"], server["flavor"], 1)
    if part == "action" and "createImage" in body:
        return len(body["createImage"].get("metadata") or {}) > _most(limits, "maxImageMeta")
    return False


async def _is_large(
    session: "Session", limits: Limits, flavour: str, now: Mapping[str, Any] | None, count: int
) -> bool:
    told = (await session.get("compute", f"/flavors/{quoted(flavour)}"))["flavor"]
    had = now or {}
    cpus = (int(told["vcpus"]) - int(had.get("vcpus", 0))) * count
    memory = (int(told["ram"]) - int(had.get("ram", 0))) * count
    return _is_beyond(limits, "maxTotalCores", "totalCoresUsed", cpus) or _is_beyond(
        limits, "maxTotalRAMSize", "totalRAMUsed", memory
    )


def _is_beyond(limits: Limits, most: str, used: str, more: int) -> bool:
    return int(limits.get(used, 0)) + more > _most(limits, most)


def _most(limits: Limits, name: str) -> float:
    limit = int(limits.get(name, -1))
    return limit if limit >= 0 else float("inf")
