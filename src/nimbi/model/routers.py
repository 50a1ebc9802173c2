"""Routers: what joins subnets to each other and to the world."""

from nimbi.model.networks import NetworkState
from nimbi.model.resource import NewResource, Resource


class Router(Resource, frozen=True, kw_only=True):
    """A router. `external_network_id` is where the world is, None when it leads nowhere outside."""

    name: str | None
    state: NetworkState
    external_network_id: str | None
    subnet_ids: tuple[str, ...]


class NewRouter(NewResource, frozen=True, kw_only=True):
    """A router without subnets; no external network leaves it without a way outside."""

    name: str | None = None
    external_network_id: str | None = None
