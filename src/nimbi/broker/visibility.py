"""Which events a caller is told: those of what it may list, and of what is its own."""

from collections.abc import Mapping, Sequence

import msgspec

from nimbi.broker.access import Caller, is_below, may, may_touch
from nimbi.broker.tenancy import COMMON, OF_CLOUD, OF_OTHERS
from nimbi.driver.capabilities import INTERFACES
from nimbi.model.inventory import Event
from nimbi.model.people import ROOT
from nimbi.store.accounts import COLLECTION as ACCOUNTS
from nimbi.store.directory import DirectoryStore

OF_CLOUDS = frozenset(interface.name for interface in INTERFACES)


class _Owner(msgspec.Struct):
    tenant: str | None = None


class _Owned(msgspec.Struct):
    """What the bodies of the broker's own things say of whose they are."""

    tenant: str | None = None
    owner: _Owner | str | None = None

    @property
    def whose(self) -> str | None:
        if self.tenant is not None:
            return self.tenant
        return self.owner.tenant if isinstance(self.owner, _Owner) else None


OWNED = msgspec.json.Decoder(_Owned)


class Visibility:
    """Leaves out of events what their reader is not to see."""

    def __init__(self, store: DirectoryStore) -> None:
        self._store = store

    async def shown(self, caller: Caller, events: Sequence[Event]) -> tuple[Event, ...]:
        """Return the events that a caller may see, in their order."""
        allowed = [event for event in events if _may_list(caller, event)]
        if caller.tenant == ROOT:
            return tuple(allowed)
        paths = await self._paths(allowed)
        return tuple(event for event in allowed if _is_own(caller, event, paths))

    async def _paths(
        self, events: Sequence[Event]
    ) -> Mapping[tuple[str, str, str], tuple[str, ...]]:
        """Return the tenant's path of each thing that somebody holds, or held when it vanished."""
        ids: dict[tuple[str, str], list[str]] = {}
        for event in events:
            if event.collection in OF_CLOUDS - OF_CLOUD:
                ids.setdefault((event.account, _kind(event)), []).append(event.thing_id)
        found: dict[tuple[str, str, str], tuple[str, ...]] = {}
        for (account, collection), those in ids.items():
            for id, path in (await self._store.holders(account, collection, those)).items():
                found[account, collection, id] = path
        return found


def _may_list(caller: Caller, event: Event) -> bool:
    return may(caller, f"{event.collection}.page", event.account or None)


def _is_own(
    caller: Caller, event: Event, paths: Mapping[tuple[str, str, str], tuple[str, ...]]
) -> bool:
    if event.collection == ACCOUNTS or event.collection in OF_CLOUD:
        return True
    if event.collection not in OF_CLOUDS:
        # Of what is gone nobody else knows whose it was.
        whose = None if event.body is None else OWNED.decode(event.body).whose
        return whose is not None and is_below(caller, whose)
    path = paths.get((event.account, _kind(event), event.thing_id))
    if path is not None:
        return may_touch(caller, path)
    # What nobody holds is the account's own.
    return event.collection in COMMON or caller.owned is None or event.account in caller.owned


def _kind(event: Event) -> str:
    return OF_OTHERS.get(event.collection, event.collection)
