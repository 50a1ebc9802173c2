"""The network that leads outside: where public addresses are from."""

from collections import Counter

from nimbi.drivers.openstack.neutron import Json, all_of
from nimbi.drivers.openstack.session import Session
from nimbi.model.errors import Invalid

AGE_S = 300.0
EXTERNAL = {"router:external": True}


async def external_network(session: Session) -> str:
    """Return the id of the external network of a session, looked up every five minutes.

    It is the one that the settings name; else the cloud's default; else the one to which most
    routers of the project lead; else the first by name. Raises Invalid when there is none.
    """

    async def chosen() -> str:
        networks = await all_of(session, "/networks", EXTERNAL)
        wanted = session.settings.external_network
        if wanted is not None:
            networks = [each for each in networks if wanted in (each["id"], each.get("name"))]
        if not networks:
            raise Invalid(
                "no network leads outside"
                if wanted is None
                else f"there is no external network {wanted!r}, which the settings name"
            )
        return str((await _ordered(session, networks))[0]["id"])

    return await session.backend.cached(("external", *session.key), AGE_S, chosen)


async def _ordered(session: Session, networks: list[Json]) -> list[Json]:
    """Return networks, those that suit best first."""
    if len(networks) == 1:
        return networks
    routers = await all_of(session, "/routers", {"fields": ["external_gateway_info"]})
    leading = Counter((each["external_gateway_info"] or {}).get("network_id") for each in routers)

    def rank(network: Json) -> tuple[bool, int, str, str]:
        return (
            not network.get("is_default"),
            -leading[network["id"]],
            network.get("name") or "",
            network["id"],
        )

    return sorted(networks, key=rank)
