"""The mock cloud of one process: its world, the bytes of its blobs, and its faults."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from nimbi.drivers.mock.contents import Contents
from nimbi.drivers.mock.faults import Faults
from nimbi.drivers.mock.injector import Injector
from nimbi.drivers.mock.seed import seeded, seeded_contents
from nimbi.drivers.mock.storage import Storage
from nimbi.drivers.mock.world import State, World

STORAGE_VARIABLE = "DELTACLOUD_MOCK_STORAGE"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`storage` is the folder that keeps the cloud; None keeps it in memory, for one process."""

    storage: str | None = msgspec.field(
        default_factory=lambda: os.environ.get(STORAGE_VARIABLE) or None
    )
    faults: Faults = Faults()


class MockCloud:
    """What all sessions share. `clock` counts seconds; the default is the running loop's.

    Blobs of a cloud in memory are kept below `scratch`, None is the system's place for such.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        clock: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
        scratch: Path | None = None,
    ) -> None:
        settings = settings or Settings()
        self._clock = clock
        self._storage = _storage(settings.storage)
        self.contents = Contents(self._storage.contents if self._storage else None, scratch)
        # A cloud that is found has its blobs already; a new one must have them before it is seen.
        self.world = World(self._first, self._storage, clock)
        self.contents.sweep(self._contents_known())
        self.injector: Injector | None = None
        self.faults = settings.faults

    @property
    def faults(self) -> Faults:
        """What goes wrong from now on. Setting it starts all counts and dice anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        injector = Injector(faults, self.world, self._clock)
        self.injector = None if faults == Faults(seed=faults.seed) else injector

    def close(self) -> None:
        """Let go of files; a cloud in memory is gone with its blobs."""
        self.contents.close()
        if self._storage is not None:
            self._storage.close()

    def _contents_known(self) -> set[str]:
        state = self.world.state
        etags = {blob.etag or "" for table in state.blobs.values() for blob in table.whole.items}
        images = {kept.name for kept in state.image_bytes.values()}
        return etags | images | {upload.id for upload in state.uploads.whole.items}

    def _first(self) -> State:
        for name, content in seeded_contents().items():
            self.contents.put(name, content)
        return seeded()


def _storage(folder: str | None) -> Storage[State] | None:
    return None if folder is None else Storage(Path(folder).expanduser(), State)
