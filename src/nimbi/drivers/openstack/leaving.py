"""What instances hold that are on their way out, and so will let go of it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.lists import all_of
from nimbi.drivers.openstack.neutron import Json, is_of_instance
from nimbi.drivers.openstack.servers import LEAVING, UNKNOWN
from nimbi.drivers.openstack.session import Session, quoted

PORT_FIELDS = ("id", "device_id", "device_owner", "security_groups")
# Neutron takes these away itself.
HELPERS = frozenset({"network:dhcp"})


async def delete(session: Session, path: str, ports: Mapping[str, Any]) -> None:
    """Delete a thing of Neutron, as soon as instances that are being deleted let go of it.

    `ports` is what Neutron sifts ports by that may hold it. Nova tells of an instance no more some
    seconds before its port is gone.
    """

    async def once() -> None:
        await session.delete("network", path)

    async def is_let_go() -> bool:
        found = await all_of(session, "/ports", {**ports, "fields": PORT_FIELDS})
        return await _all_leave(
            session, [port for port in found if port.get("device_owner") not in HELPERS]
        )

    await session.calmed(once, is_let_go)


async def _all_leave(session: Session, ports: list[Json]) -> bool:
    if not ports or not all(map(is_of_instance, ports)):
        return False
    ids = {port["device_id"] for port in ports}
    return all(await asyncio.gather(*(_leaves(session, id) for id in ids)))


async def _leaves(session: Session, id: str) -> bool:
    try:
        told = await session.get("compute", f"/servers/{quoted(id)}")
    except OpenStackError as error:
        if error.status not in UNKNOWN:
            raise
        return True
    return bool(told["server"].get("OS-EXT-STS:task_state") == LEAVING)
