"""Quotas: how much of everything an account may have, and has."""

from enum import StrEnum

from nimbi.model.resource import Resource


class QuotaUnit(StrEnum):
    """What a quota counts."""

    COUNT = "count"
    BYTES = "bytes"
    MIB = "MiB"
    GIB = "GiB"


class Quota(Resource, frozen=True, kw_only=True):
    """A limit of the account. `limit` None is no limit, `used` None is not told.

    `id` is the name of a collection where it counts what is in that (`instances`, `volumes`), or
    `cpus`, `memory`, `volume_storage` (all volumes together), `firewall_rules`, `blob_storage`; for
    what has no name here it is the cloud's own word.
    """

    used: int | None
    limit: int | None
    unit: QuotaUnit = QuotaUnit.COUNT
