"""Load balancers: one address in front of several instances."""

from datetime import datetime
from enum import StrEnum

import msgspec

from nimbi.model.resource import NewResource, Resource


class ListenerProtocol(StrEnum):
    """How deep the balancer looks into the traffic."""

    HTTP = "http"
    TCP = "tcp"


class Listener(msgspec.Struct, frozen=True):
    """Traffic to `balancer_port` goes to `instance_port` of a registered instance."""

    protocol: ListenerProtocol
    balancer_port: int
    instance_port: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An instance behind a balancer; `healthy` None says that this is not known (yet)."""

    instance_id: str
    healthy: bool | None = None
    reason: str | None = None


class LoadBalancer(Resource, frozen=True, kw_only=True):
    """One address (or several) in front of `instance_ids`.

    `members` tells of the same instances how they are, when the cloud looks after them.
    """

    name: str | None
    public_addresses: tuple[str, ...]
    created_at: datetime | None
    realm_ids: tuple[str, ...]
    listeners: tuple[Listener, ...]
    instance_ids: tuple[str, ...]
    members: tuple[Member, ...] = ()


class NewLoadBalancer(NewResource, frozen=True, kw_only=True):
    """At least one listener; ports from 1 to 65535."""

    name: str
    realm_id: str | None
    listeners: tuple[Listener, ...]
