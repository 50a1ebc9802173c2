"""The world: everything that the cloud holds, and how it changes."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import copy
from datetime import UTC, datetime
from hashlib import blake2s
from secrets import token_hex
from threading import RLock
from typing import Any, Literal

import msgspec

from nimbi.drivers.mock.naming import is_plain
from nimbi.drivers.mock.storage import Storage
from nimbi.drivers.mock.table import PlainTable, Table
from nimbi.model.addresses import Address
from nimbi.model.buckets import Blob, Bucket, NewBlob
from nimbi.model.firewalls import Firewall
from nimbi.model.images import Image
from nimbi.model.instances import Instance, UserFile
from nimbi.model.keys import Key
from nimbi.model.load_balancers import LoadBalancer
from nimbi.model.networks import Network, NetworkInterface, Subnet
from nimbi.model.routers import Router
from nimbi.model.snapshots import Snapshot
from nimbi.model.volumes import Volume

# Tokens are for retries, which come within minutes; the oldest are forgotten.
TOKENS_KEPT = 1000


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance was given for its first boot."""

    user_data: bytes | None = None
    files: tuple[UserFile, ...] = ()

    def __repr__(self) -> str:
        return "Boot(…)"


class Bytes(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of an image, kept among those of blobs under the name made up for them."""

    name: str
    size_bytes: int


class OpenUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A segmented upload under way, and what was told of its blob."""

    id: str
    new: NewBlob


class State(msgspec.Struct, kw_only=True):
    """All that the cloud holds at one moment.

    Tables and mappings are never changed, only replaced, so a shallow copy is a whole copy.
    """

    version: Literal[1] = 1
    secret: str = msgspec.field(default_factory=lambda: token_hex(16))
    images: Table[Image] = msgspec.field(default_factory=Table)
    image_bytes: Mapping[str, Bytes] = {}
    image_shares: Mapping[str, tuple[str, ...]] = {}
    instances: Table[Instance] = msgspec.field(default_factory=Table)
    boots: Mapping[str, Boot] = {}
    changes: Mapping[str, datetime] = {}
    keys: Table[Key] = msgspec.field(default_factory=Table)
    firewalls: Table[Firewall] = msgspec.field(default_factory=Table)
    addresses: Table[Address] = msgspec.field(default_factory=Table)
    networks: Table[Network] = msgspec.field(default_factory=Table)
    subnets: Table[Subnet] = msgspec.field(default_factory=Table)
    routers: Table[Router] = msgspec.field(default_factory=Table)
    network_interfaces: Table[NetworkInterface] = msgspec.field(default_factory=Table)
    load_balancers: Table[LoadBalancer] = msgspec.field(default_factory=Table)
    volumes: Table[Volume] = msgspec.field(default_factory=Table)
    snapshots: Table[Snapshot] = msgspec.field(default_factory=Table)
    buckets: Table[Bucket] = msgspec.field(default_factory=Table)
    blobs: Mapping[str, PlainTable[Blob]] = {}
    uploads: Table[OpenUpload] = msgspec.field(default_factory=Table)
    counters: Mapping[str, int] = {}
    tokens: Mapping[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return "State(…)"

    def fresh_id(self, prefix: str, taken: Table[Any], name: str | None = None) -> str:
        """Return an id that is free: the name if it will do, else `prefix` and a new number."""
        if name is not None and is_plain(name) and name not in taken:
            return name
        number = self.counters.get(prefix, 0) + 1
        while f"{prefix}{number}" in taken:
            number += 1
        self.counters = {**self.counters, prefix: number}
        return f"{prefix}{number}"

    def instances_of(self, user: str | None) -> Table[Instance]:
        return self.instances.view(f"of {user}", lambda instance: instance.owner_id == user)

    def instance_of(self, user: str, id: str) -> Instance:
        """Return one of the user's instances; those of others are NotFound."""
        return self.instances_of(user).get(id, "instance")

    def made_with(self, operation: str, token: str | None) -> tuple[str, ...] | None:
        """Return the ids of what this operation made when the token came before."""
        return None if token is None else self.tokens.get(_token_key(operation, token))

    def remember(self, operation: str, token: str | None, *ids: str) -> None:
        if token is None:
            return
        kept = list(self.tokens.items())[-(TOKENS_KEPT - 1) :]
        self.tokens = {**dict(kept), _token_key(operation, token): ids}

    def note_changes(self, before: "State") -> None:
        """Keep when each instance changed that is another than before."""
        if self.instances is not before.instances:
            now = datetime.now(UTC)
            changed = self.instances.changed_since(before.instances)
            kept = {id: at for id, at in self.changes.items() if id in self.instances}
            self.changes = kept | {instance.id: now for instance in changed}

    def differs(self, other: "State") -> bool:
        return any(
            getattr(self, field) is not getattr(other, field) for field in self.__struct_fields__
        )


class World:
    """The present state, and the one way to change it.

    `clock` counts seconds; it tells how old a past state is.
    """

    def __init__(
        self, first: Callable[[], State], storage: Storage[State] | None, clock: Callable[[], float]
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._lock = RLock()
        self._past: deque[tuple[float, State]] = deque(maxlen=0)
        self._state = first() if storage is None else storage.begin(first)

    @property
    def state(self) -> State:
        """The cloud as it is. Readers take it once, and see one moment."""
        if self._storage is not None and self._storage.is_changed:
            self._refresh()
        return self._state

    @contextmanager
    def change(self) -> Iterator[State]:
        """Give a draft that becomes the state when the block ends, and is forgotten when it raises.

        There must be no await in the block: all other changes, in this process and in those that
        share the storage, wait for it.
        """
        storage = self._storage
        with self._lock, storage.locked() if storage else nullcontext():
            self._refresh()
            draft = copy(self._state)
            yield draft
            if draft.differs(self._state):
                draft.note_changes(self._state)
                if storage is not None:
                    storage.save(draft)
                self._replace(draft)

    def remember_past(self, changes: int) -> None:
        """Keep this many states of the past from now on, for `past`."""
        with self._lock:
            self._past = deque(self._past, maxlen=changes)

    def past(self, changes: int, age_s: float) -> State:
        """Return the state before the last `changes`, and as it was `age_s` ago.

        The oldest state that is kept when there is none so old.
        """
        with self._lock:
            present = self.state
            number = len(self._past)
            by_changes = number - changes
            by_age = sum(until <= self._clock() - age_s for until, _ in self._past)
            index = max(0, min(by_changes, by_age, number))
            return present if index == number else self._past[index][1]

    def _refresh(self) -> None:
        with self._lock:
            if self._storage is not None and self._storage.is_changed:
                self._replace(self._storage.load())

    def _replace(self, state: State) -> None:
        if self._past.maxlen:
            self._past.append((self._clock(), self._state))
        self._state = state


def _token_key(operation: str, token: str) -> str:
    return blake2s(f"{operation}\0{token}".encode(errors="replace"), digest_size=12).hexdigest()
