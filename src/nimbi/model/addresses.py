"""Addresses: public IP addresses that an account holds and points at instances."""

from nimbi.model.resource import NewResource, Resource


class Address(Resource, frozen=True, kw_only=True):
    """A held IP address; `instance_id` is where it points, None when it is free."""

    ip: str
    instance_id: str | None


class NewAddress(NewResource, frozen=True, kw_only=True):
    """Hold one more address; the cloud chooses which."""
