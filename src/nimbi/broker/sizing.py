"""What a wish comes to: how much of each resource, where, of which size, at which price."""

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from nimbi.driver.compute import HardwareProfiles
from nimbi.model.errors import CloudError, NotFound
from nimbi.model.hardware_profiles import HardwareProfile, Property, Sizes
from nimbi.model.holdings import Amounts
from nimbi.model.instances import Instance, NewInstance
from nimbi.model.inventory import Thing
from nimbi.model.volumes import NewVolume, Volume
from nimbi.store.inventory import InventoryStore

GIB = 1 << 30
# A month as price lists have it: 365 days of 24 hours, by twelve.
HOURS_A_MONTH = 730

# What one thing counts for, whatever it is like.
ONE: dict[str, Amounts] = {
    "addresses": Amounts(addresses=1),
    "instances": Amounts(instances=1),
    "snapshots": Amounts(snapshots=1),
    "volumes": Amounts(volumes=1),
}

# What is known of sizes of machines stays so for a while; the least used are given up first.
AGE_S = 600.0
MOST_KNOWN = 2000

Fetch = Callable[..., Awaitable[Any]]


class PriceSource(Protocol):
    """Tells what things cost: the price lists, as far as there are some."""

    async def price_hour_micros(
        self, account: str, collection: str, kind: str | None, region: str | None, amounts: Amounts
    ) -> int | None:
        """Return the price of one thing an hour, in millionths; None when none is known."""
        ...


class NoPrices:
    """The price lists of an installation that has none."""

    async def price_hour_micros(
        self, account: str, collection: str, kind: str | None, region: str | None, amounts: Amounts
    ) -> int | None:
        return None


class Measured(NamedTuple):
    """What one thing comes to. `is_sure` is false while only the cloud knows its size."""

    amounts: Amounts
    kind: str | None = None
    region: str | None = None
    is_sure: bool = True


class Known(msgspec.Struct, frozen=True):
    """What is read of a thing's body."""

    size_gib: float | None = None
    sizes: Sizes = Sizes()
    hardware_profile_id: str | None = None
    realm_id: str | None = None


class Sizing:
    """Sizing wishes and things of all accounts."""

    def __init__(self, store: InventoryStore, prices: PriceSource) -> None:
        self._store = store
        self._prices = prices
        self._profiles: OrderedDict[tuple[str, str], tuple[float, HardwareProfile]] = OrderedDict()

    async def of_wish(self, account: str, collection: str, wish: Any, fetch: Fetch) -> Measured:
        """Return what a wish comes to; `fetch` asks the cloud, as `Cloud.call` does."""
        if isinstance(wish, NewInstance):
            found = await self._instance(account, wish.hardware_profile_id, wish.sizes, fetch)
            found = _with_volumes(found, wish)
        elif isinstance(wish, NewVolume):
            found = await self._volume(account, wish)
        else:
            return await self._plain(account, collection)
        found = found._replace(region=wish.realm_id)
        return await self._priced(account, collection, found)

    async def of_thing(self, account: str, collection: str, thing: Any, fetch: Fetch) -> Measured:
        """Return what a thing comes to that a cloud has told."""
        if isinstance(thing, Instance):
            profile = thing.hardware_profile_id
            found = await self._instance(account, profile, thing.sizes, fetch)
        elif isinstance(thing, Volume):
            found = Measured(_volume_of(thing.size_gib))
        else:
            return await self._plain(account, collection)
        return await self._priced(account, collection, found._replace(region=thing.realm_id))

    async def of_kept(self, thing: Thing, fetch: Fetch) -> Measured:
        """Return what a thing of the inventory comes to."""
        told = msgspec.json.decode(thing.body, type=Known, strict=False)
        if thing.collection == "instances":
            profile = told.hardware_profile_id
            found = await self._instance(thing.account, profile, told.sizes, fetch)
        elif thing.collection == "volumes":
            found = Measured(_volume_of(told.size_gib))
        else:
            return await self._plain(thing.account, thing.collection)
        found = found._replace(region=told.realm_id)
        return await self._priced(thing.account, thing.collection, found)

    async def resized(
        self, account: str, collection: str, id: str, wish: Any, before: Amounts, fetch: Fetch
    ) -> Amounts:
        """Return what a thing will come to with another size, as far as the wish tells."""
        if isinstance(wish, Sizes):
            given = {"vcpus": wish.cpus, "memory_mib": wish.memory_mib}
            new = {name: _whole(value) for name, value in given.items() if value is not None}
        else:
            new = {"volume_bytes": int(wish * GIB)}
        after = msgspec.structs.replace(before, **new)
        kind, region = None, None
        try:
            known = await self._store.thing(account, collection, id)
        except NotFound:
            pass
        else:
            kind, region = known.hardware_profile_id, known.realm_id
        found = await self._priced(account, collection, Measured(after, kind, region))
        return found.amounts

    async def _instance(
        self, account: str, profile_id: str | None, sizes: Sizes, fetch: Fetch
    ) -> Measured:
        profile = None if profile_id is None else await self._profile(account, profile_id, fetch)
        if profile is None:
            return Measured(
                Amounts(instances=1, vcpus=_whole(sizes.cpus), memory_mib=_whole(sizes.memory_mib)),
                profile_id,
                is_sure=False,
            )
        vcpus = sizes.cpus if sizes.cpus is not None else _usual(profile.cpus)
        memory = sizes.memory_mib if sizes.memory_mib is not None else _usual(profile.memory_mib)
        amounts = Amounts(instances=1, vcpus=_whole(vcpus), memory_mib=_whole(memory))
        return Measured(amounts, profile_id)

    async def _volume(self, account: str, wish: NewVolume) -> Measured:
        size_gib = wish.size_gib
        if size_gib is None and wish.snapshot_id is not None:
            try:
                snapshot = await self._store.thing(account, "snapshots", wish.snapshot_id)
            except NotFound:
                pass
            else:
                size_gib = msgspec.json.decode(snapshot.body, type=Known).size_gib
        return Measured(_volume_of(size_gib), wish.kind, is_sure=size_gib is not None)

    async def _profile(self, account: str, id: str, fetch: Fetch) -> HardwareProfile | None:
        at, known = self._profiles.get((account, id), (float("-inf"), None))
        now = time.monotonic()
        if known is None or now - at > AGE_S:
            known = await self._read(account, id, fetch)
            if known is None:
                return None
            self._profiles[account, id] = now, known
            if len(self._profiles) > MOST_KNOWN:
                self._profiles.popitem(last=False)
        self._profiles.move_to_end((account, id))
        return known

    async def _read(self, account: str, id: str, fetch: Fetch) -> HardwareProfile | None:
        try:
            kept = await self._store.thing(account, "hardware_profiles", id)
            return msgspec.json.decode(kept.body, type=HardwareProfile)
        except (NotFound, msgspec.DecodeError):
            pass
        try:
            found: HardwareProfile = await fetch(HardwareProfiles.get, id)
        except CloudError:
            # The cloud says itself what is wrong with it.
            return None
        return found

    async def _plain(self, account: str, collection: str) -> Measured:
        """Return what one thing comes to that is like all others of its kind."""
        found = Measured(ONE.get(collection, Amounts()))
        return found if collection not in ONE else await self._priced(account, collection, found)

    async def _priced(self, account: str, collection: str, found: Measured) -> Measured:
        hour = await self._prices.price_hour_micros(
            account, collection, found.kind, found.region, found.amounts
        )
        amounts = msgspec.structs.replace(
            found.amounts,
            price_hour_micros=hour,
            price_month_micros=None if hour is None else hour * HOURS_A_MONTH,
        )
        return found._replace(amounts=amounts)


def _with_volumes(found: Measured, wish: NewInstance) -> Measured:
    """Add the volumes that are made with an instance, and go with it."""
    size_bytes = sum(int((volume.size_gib or 0) * GIB) for volume in wish.volumes)
    more = msgspec.structs.replace(
        found.amounts, volumes=len(wish.volumes), volume_bytes=size_bytes
    )
    return found._replace(amounts=more)


def _volume_of(size_gib: float | None) -> Amounts:
    return Amounts(volumes=1, volume_bytes=int((size_gib or 0) * GIB))


def _usual(rule: Property | None) -> Any:
    return None if rule is None else rule.default


def _whole(value: Any) -> int:
    """Return a number as it counts: rounded up; what is no number counts nothing."""
    return math.ceil(value) if isinstance(value, int | float) else 0
