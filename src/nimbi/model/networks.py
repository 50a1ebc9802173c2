"""Networks, their subnets, and the interfaces by which instances join them."""

from enum import StrEnum
from typing import Annotated

from nimbi.model.errors import Invalid
from nimbi.model.features import Feature
from nimbi.model.resource import NewResource, Resource


class NetworkState(StrEnum):
    """Traffic flows only when UP."""

    PENDING = "pending"
    UP = "up"
    DOWN = "down"


class Network(Resource, frozen=True, kw_only=True):
    """`address_blocks` in CIDR form: `("192.168.0.0/16",)`."""

    name: str | None
    state: NetworkState
    address_blocks: tuple[str, ...]
    subnet_ids: tuple[str, ...]


class NewNetwork(NewResource, frozen=True, kw_only=True):
    """A network; no address block leaves the choice to the cloud."""

    name: str | None = None
    address_block: str | None = None


class Subnet(Resource, frozen=True, kw_only=True):
    """A part of a network. `kind` is `private` or `public`."""

    name: str | None
    state: NetworkState
    address_block: str
    network_id: str
    kind: str = "private"


class NewSubnet(NewResource, frozen=True, kw_only=True):
    """A part of a network; the block must lie within one of the network's."""

    network_id: str
    address_block: str
    name: str | None = None


class NetworkInterface(Resource, frozen=True, kw_only=True):
    """A card in an instance. One of `subnet_id` and `network_id` may be None, never both."""

    name: str | None
    state: NetworkState
    ip_address: str | None
    network_id: str | None
    subnet_id: str | None
    instance_id: str | None
    firewall_ids: tuple[str, ...] = ()


class NewNetworkInterface(NewResource, frozen=True, kw_only=True):
    """Join an instance to a network, or to one subnet of it."""

    instance_id: str | None = None
    network_id: str | None = None
    subnet_id: str | None = None
    name: str | None = None
    firewall_ids: Annotated[
        tuple[str, ...], Feature("firewalls", "Firewalls in front of the interface.")
    ] = ()
    unattached: Annotated[
        bool | None,
        Feature("unattached", "Make it for an instance to come; it stays when that goes."),
    ] = None

    def check(self) -> None:
        """Raise Invalid unless it is for one instance, or for none and says so."""
        if (self.instance_id is None) != bool(self.unattached):
            raise Invalid("an interface is for one instance, or unattached")
