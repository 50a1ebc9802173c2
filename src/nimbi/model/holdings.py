"""Holdings: what projects have in clouds, how much of it they may have, and where."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

MILLION = 1_000_000
# Money is counted in millionths, and told in the currency: how people call such a resource.
MONEY = {"price_hour_micros": "price_hour", "price_month_micros": "price_month"}


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a thing counts for. Money is in millionths of the currency; None: no price is known."""

    instances: int = 0
    vcpus: int = 0
    memory_mib: int = 0
    volumes: int = 0
    volume_bytes: int = 0
    snapshots: int = 0
    addresses: int = 0
    blob_bytes: int = 0
    price_hour_micros: int | None = None
    price_month_micros: int | None = None

    def counted(self) -> dict[str, int]:
        """Return what is not zero, by resource; what has no price counts nothing."""
        return {name: value for name in RESOURCES if (value := getattr(self, name))}


# What quotas can be set for.
RESOURCES: tuple[str, ...] = Amounts.__struct_fields__


def amount_told(resource: str, amount: int) -> str:
    """Return an amount as people say it: money as a number of the currency, without zeros."""
    if resource not in MONEY:
        return str(amount)
    return f"{(Decimal(amount) / MILLION).normalize():f}"


class HoldingState(StrEnum):
    """RESERVED counts as HELD does; RELEASED counts nothing, and is kept for a while."""

    RESERVED = "reserved"
    HELD = "held"
    RELEASED = "released"


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a tenant has in an account, or is about to have (then it has no id yet)."""

    account: str
    token: str
    number: int
    tenant: str
    user: str
    collection: str
    thing_id: str | None
    name: str | None
    kind: str | None
    state: HoldingState
    amounts: Amounts
    job: str | None
    created_at: datetime
    released_at: datetime | None


class TenantQuota(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a resource a tenant, and all below it together, may have, and has.

    `limit` None is no limit. `unpriced` is how many things count nothing for a price, since none is
    known.
    """

    tenant: str
    resource: str
    limit: int | None
    used: int
    unpriced: int = 0


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in which what is counted differs from what is there.

    `kind` is `sum` (a quota's `used` is not what its holdings come to), `gone` (a thing that is
    held is not in its cloud), `stale` (something is reserved, and nobody works on it) or `size` (a
    thing counts for another size than it has). `used` is what was counted, `counted` what is right.
    """

    kind: str
    tenant: str
    resource: str | None = None
    account: str | None = None
    collection: str | None = None
    thing_id: str | None = None
    name: str | None = None
    used: int | None = None
    counted: int | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant, and those below it, may use of an account; None is no limit.

    `regions` are ids of realms, or beginnings of them with `*` behind; `sizes` so of hardware
    profiles. `price_hour_micros` is the most that one new thing may cost an hour.
    """

    tenant: str
    account: str
    regions: tuple[str, ...] | None = None
    sizes: tuple[str, ...] | None = None
    price_hour_micros: int | None = None
