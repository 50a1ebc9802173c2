"""What Nova does with a server that is there."""

import asyncio
from collections.abc import Mapping
from typing import Any

from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.hardware_profiles import ids_by_name, profile_of, profiles_of
from nimbi.drivers.openstack.ids import known
from nimbi.drivers.openstack.instance_facts import SHELVED, Server, Told, error_of, state_of
from nimbi.drivers.openstack.servers import UNKNOWN, find, found
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import Conflict, Invalid, OutOfCapacity
from nimbi.model.hardware_profiles import Sizes
from nimbi.model.instances import InstanceState

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0

# What Nova answers when there is nothing to confirm any more.
NOT_RESIZED = 400

RESIZED = "VERIFY_RESIZE"
RESIZING = frozenset({"RESIZE", "REVERT_RESIZE", RESIZED})


async def act(
    session: Session,
    id: str,
    action: str,
    told: Mapping[str, Any] | None = None,
    *,
    changes: bool = True,
) -> Any:
    """Return what Nova answers to an action; one that is refused for a passing task is repeated.

    Source: https://docs.openstack.org/api-ref/compute/#servers-run-an-action-servers-action
    """
    path = f"/servers/{known(id, 'instance')}/action"

    async def once() -> Any:
        return await session.post("compute", path, {action: told}, changes=changes)

    async def calm() -> Any:
        return await session.calmed(once, lambda: session.server_is_busy(id))

    return await session.settled(calm, UNKNOWN, (id,))


async def idle(session: Session, id: str) -> Told:
    """Return a server as soon as no task is on with it. The caller's deadline ends it."""
    pause_s = FIRST_PAUSE_S
    while True:
        told = await found(session, id)
        if told[0].task is None and told[0].status != "BUILD":
            return told
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def resized(session: Session, id: str, sizes: Sizes) -> Told:
    """Return a stopped server with the flavour that differs from its own only in `sizes`.

    Takes up what an attempt before has begun. Raises Conflict, Invalid, OutOfCapacity.
    """
    told = await found(session, id)
    if told[0].status in RESIZING:
        told = await _confirmed(session, id)
    server = told[0]
    if state_of(server) is not InstanceState.STOPPED or server.status in SHELVED:
        raise Conflict(f"the instance {id!r} is {server.status}: only a stopped one is resized")
    now = await flavour_id(session, server)
    wanted = (await profiles_of(session)).resized(now, sizes).id
    if wanted == now:
        return told
    try:
        await act(session, id, "resize", {"flavorRef": wanted})
    except OpenStackError as error:
        # What Nova says of a disk that would have to shrink.
        if error.status == 400:
            raise Invalid(error.message) from error
        raise
    told = await _confirmed(session, id)
    if await flavour_id(session, told[0]) != wanted:
        raise OutOfCapacity(f"no host has room for {id!r} as {wanted!r}: it stays as it was")
    return told


async def flavour_id(session: Session, server: Server) -> str:
    """Return the flavour of a server. Raises NotFound or Conflict when the cloud has it no more."""
    flavour = server.flavor
    if flavour is not None and flavour.id is not None:
        return (await profile_of(session, flavour.id)).id
    name = flavour.original_name if flavour else None
    if (id := (await ids_by_name(session)).get(name or "")) is not None:
        return id
    raise Conflict(f"the cloud has the hardware profile {name!r} no more")


async def _confirmed(session: Session, id: str) -> Told:
    """Return a server after its resizing has been confirmed, or has failed."""
    confirmed = False
    while True:
        told = await idle(session, id)
        server = told[0]
        if server.status == "ERROR":
            raise error_of(server.fault)
        if server.status not in RESIZING:
            return told
        if server.status == RESIZED and not confirmed:
            await _confirm(session, id)
            confirmed = True
        # While it is being confirmed, Nova shows no task.
        await asyncio.sleep(FIRST_PAUSE_S)


async def _confirm(session: Session, id: str) -> None:
    try:
        await act(session, id, "confirmResize")
    except OpenStackError as error:
        # An attempt before, or somebody else, has done it.
        if error.status != NOT_RESIZED:
            raise


async def unshelved(session: Session, id: str) -> None:
    """Start a shelved server. Raises OutOfCapacity when there is no place for it."""
    await act(session, id, "unshelve")
    pause_s = FIRST_PAUSE_S
    while True:
        server = await find(session, id)
        if server.status not in SHELVED:
            return
        if server.task is None:
            raise OutOfCapacity(f"no host has room for the shelved instance {id!r}")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
