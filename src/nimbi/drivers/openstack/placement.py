"""Waiting until Nova has found a host for new servers, and their network, or none."""

import asyncio
from collections.abc import Sequence

from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.instance_facts import Server, Told, error_of
from nimbi.drivers.openstack.servers import found
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import CloudError, NotFound, OutOfCapacity, QuotaExceeded

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0

# Longer than a scheduler takes, and shorter than a caller waits for an answer.
PATIENCE_S = 15.0

# Nova looks at quotas again after it has said yes, and then says so as the server's fault.
OVER_QUOTA = 403


async def placed(session: Session, ids: Sequence[str]) -> list[Told]:
    """Return new servers as soon as each has a host and addresses, or after 15 s as they are.

    Until then nothing but Nova knows which firewalls and networks they need, and those can be
    destroyed. When one finds no host, or is one too many, all are taken away again. Raises
    OutOfCapacity, QuotaExceeded.
    """
    loop = asyncio.get_running_loop()
    until, pause_s = loop.time() + PATIENCE_S, FIRST_PAUSE_S
    while True:
        told = await asyncio.gather(*(found(session, id) for id in ids))
        for server, _ in told:
            if (error := _refusal(server)) is not None:
                await _taken_away(session, ids)
                raise error
        if all(_has_place(server) for server, _ in told) or loop.time() > until:
            return list(told)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _has_place(server: Server) -> bool:
    if server.status not in ("BUILD", "UNKNOWN"):
        return True
    return bool(server.host_id) and bool(server.addresses)


def _refusal(server: Server) -> CloudError | None:
    """Return why a server never came to be; None of one that failed later, which is there."""
    fault = server.fault
    if server.status != "ERROR" or fault is None:
        return None
    if fault.code == OVER_QUOTA:
        return QuotaExceeded(fault.message)
    error = error_of(fault)
    return error if isinstance(error, OutOfCapacity) else None


async def _taken_away(session: Session, ids: Sequence[str]) -> None:
    for id in ids:
        try:
            await session.delete("compute", f"/servers/{id}")
        except (OpenStackError, NotFound) as error:
            if isinstance(error, OpenStackError) and error.status != 404:
                raise
