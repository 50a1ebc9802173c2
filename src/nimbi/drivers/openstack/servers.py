"""Servers looked for in Nova: their lists, and what Neutron knows of them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from nimbi.drivers.openstack.calls import lost
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.hardware_profiles import ids_by_name
from nimbi.drivers.openstack.ids import ID, known
from nimbi.drivers.openstack.instance_facts import (
    Json,
    Ports,
    Server,
    Told,
    instance_of,
    ports_of,
    server_in,
)
from nimbi.drivers.openstack.neutron import all_of
from nimbi.drivers.openstack.pages import NO_MARKER, REMEMBERED, places
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import CloudError, Invalid
from nimbi.model.instances import Instance

# The last version that tells the id of a flavour, and not only its name.
TELLS_FLAVOURS = "2.46"

# The most that Nova gives at once, unless its operator has said otherwise.
MOST_AT_ONCE = 1000

# Of more servers than these, all ports of the project are asked for: URLs have an end.
MOST_NAMED = 40
PORT_FIELDS = ("id", "device_id", "security_groups", "fixed_ips")

# A list from which servers are sorted out here is read in larger parts than what is asked for.
SIFTED = 100

# Since this microversion everybody may ask for the servers of one realm.
REALM, SIFTS_REALMS = "availability_zone", "2.83"

UNKNOWN = frozenset({404})
# The task of a server that is being deleted.
LEAVING = "deleting"


async def version(session: Session, wanted: str) -> str | None:
    """Return a microversion if this Nova speaks it; None is the newest that both sides know."""
    return wanted if await session.supports("compute", wanted) else None


class _Link(msgspec.Struct, frozen=True):
    rel: str = ""


class _Part(msgspec.Struct, frozen=True):
    """A part of a list of servers."""

    servers: list[msgspec.Raw]
    servers_links: list[_Link] = []

    @property
    def is_last(self) -> bool:
        return not any(link.rel == "next" for link in self.servers_links)


class _Single(msgspec.Struct, frozen=True):
    server: msgspec.Raw


_PART, _SINGLE = msgspec.json.Decoder(_Part), msgspec.json.Decoder(_Single)


async def find(session: Session, id: str) -> Server:
    """Return what Nova tells of a server. Raises NotFound."""
    return (await found(session, id))[0]


async def found(session: Session, id: str) -> Told:
    """Return what Nova tells of a server, read and whole. Raises NotFound."""
    path = f"/servers/{known(id, 'instance')}"
    microversion = await version(session, TELLS_FLAVOURS)

    async def asked() -> bytes:
        return await _body(session, path, None, microversion)

    body = await session.settled(asked, UNKNOWN, (id,))
    try:
        return server_in(_SINGLE.decode(body).server)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise lost(f"it is no server: {error}", changes=False) from None


async def _body(
    session: Session, path: str, query: Mapping[str, Any] | None, microversion: str | None
) -> bytes:
    answer = await session.call(
        "GET", "compute", path, query=query, microversion=microversion, changes=False
    )
    return answer.body


def one(answer: Any, key: str) -> Json:
    """Return the only thing in an answer. Raises CloudError when there is none."""
    if isinstance(answer, Mapping) and isinstance(answer.get(key), Mapping):
        thing: Json = answer[key]
        return thing
    raise CloudError(f"OpenStack gave an answer without a {key}")


async def whole(session: Session, told: Told) -> Instance:
    """Return a server with what Neutron knows of it."""
    return (await all_whole(session, [told]))[0]


async def all_whole(session: Session, told: Sequence[Told]) -> tuple[Instance, ...]:
    """Return servers with what Neutron knows of them."""
    ports = await ports_at(session, [server.id for server, _ in told])
    return read(told, ports, await profiles_in(session, told))


def read(told: Sequence[Told], ports: Ports, profiles: Mapping[str, str]) -> tuple[Instance, ...]:
    """Return servers in neutral words."""
    return tuple([instance_of(each, ports, profiles) for each in told])


async def ports_at(session: Session, ids: Sequence[str]) -> Ports:
    """Return the ports of servers; none in a cloud without Neutron."""
    if len(ids) > MOST_NAMED:
        return await ports_of_project(session)
    return await _ports(session, {"device_id": list(ids)}) if ids else {}


async def ports_of_project(session: Session) -> Ports:
    """Return the ports of all servers of the project."""
    return await _ports(session, {"project_id": await session.project()})


async def _ports(session: Session, wanted: Mapping[str, Any]) -> Ports:
    await session.token()
    if "network" not in session.services():
        return {}
    return ports_of(await all_of(session, "/ports", {**wanted, "fields": PORT_FIELDS}))


async def profiles_in(session: Session, told: Iterable[Told]) -> Mapping[str, str]:
    """Return ids of flavours by name, if they are needed to read these servers."""
    for server, _ in told:
        if server.flavor is not None and server.flavor.id is None:
            return await ids_by_name(session)
    return {}


async def listed(
    session: Session,
    marker: str | None,
    limit: int,
    asked: Mapping[str, Any],
    wanted: Callable[[Server], bool] | None = None,
) -> tuple[Sequence[Told], Ports, str | None]:
    """Return up to `limit` servers in Nova's order, their ports, and the next marker.

    `asked` is what Nova sifts by; only those that are `wanted`, too, count. One that is being
    deleted is left out, which Nova shows for some seconds yet. Raises Invalid for a marker that no
    page gave.
    """
    seen = places(marker)
    if not all(ID.fullmatch(id) for id in seen):
        raise Invalid("no page gave this marker")
    if limit <= MOST_NAMED or wanted is not None:
        page, after = await _servers(session, seen, limit, asked, wanted)
        return page, await ports_at(session, [server.id for server, _ in page]), after
    (page, after), ports = await asyncio.gather(
        _servers(session, seen, limit, asked, wanted), ports_of_project(session)
    )
    return page, ports, after


async def _servers(
    session: Session,
    seen: list[str],
    limit: int,
    asked: Mapping[str, Any],
    wanted: Callable[[Server], bool] | None,
) -> tuple[Sequence[Told], str | None]:
    microversion = None
    if REALM not in asked:
        microversion = await version(session, TELLS_FLAVOURS)
    page: list[Told] = []
    while True:
        # One more than asked, since only that tells whether another page follows.
        size = limit + 1 - len(page) if wanted is None else max(limit + 1, SIFTED)
        told, is_last = await _after(session, seen, {**asked, "limit": size}, microversion)
        page += [
            each for each in told if each[0].task != LEAVING and (wanted is None or wanted(each[0]))
        ]
        if len(page) > limit:
            seen = [*seen, *(server.id for server, _ in page[:limit])]
            return page[:limit], "\n".join(seen[-REMEMBERED:])
        if is_last or not told:
            return page, None
        seen = [*seen, *(server.id for server, _ in told)][-REMEMBERED:]


async def _after(
    session: Session, seen: Sequence[str], asked: Mapping[str, Any], microversion: str | None
) -> tuple[list[Told], bool]:
    """Return servers after the last of the seen ones that Nova still knows, and if they end so."""
    markers: Sequence[str | None] = tuple(reversed(seen)) or (None,)
    for marker in markers:
        try:
            query = {**asked, "marker": marker}
            body = await _body(session, "/servers/detail", query, microversion)
        except OpenStackError as error:
            if marker is None or error.status not in NO_MARKER:
                raise
            continue
        try:
            part = _PART.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise lost(f"it is no list of servers: {error}", changes=False) from None
        told = [server_in(raw) for raw in part.servers]
        if marker != (seen[-1] if seen else None):
            told = [each for each in told if each[0].id not in seen]
        return told, part.is_last
    raise Invalid("all servers that the marker names are gone: begin anew")


async def all_listed(session: Session, asked: Mapping[str, Any]) -> list[Told]:
    """Return all servers that Nova sifts so."""
    all_found: list[Told] = []
    marker: str | None = None
    while True:
        page, _, marker = await listed(session, marker, MOST_AT_ONCE, asked)
        all_found += page
        if marker is None:
            return all_found
