"""Realms: the places within one cloud (zones, data centres)."""

from enum import StrEnum

from nimbi.model.resource import Resource


class RealmState(StrEnum):
    """Whether new instances may be placed there."""

    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"


class Realm(Resource, frozen=True, kw_only=True):
    """A place. `limit` is how many instances it still takes; None is no limit."""

    name: str
    state: RealmState
    limit: int | None = None
