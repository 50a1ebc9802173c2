"""A cloud kept in a folder: found again after a restart, shared by several processes."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from nimbi.drivers.mock.table import decoded, encoded
from nimbi.model.errors import CloudUnavailable

S = TypeVar("S")

STATE = "cloud.json"
LOCK = "cloud.lock"
CONTENTS = "contents"


class Storage(Generic[S]):
    """One state in `cloud.json`, replaced whole at each change, under a lock between processes.

    A process that is killed leaves the state before or after its change, never a part. The
    machine's own crash may cost the last changes: nothing is forced to the disk.
    """

    def __init__(self, folder: Path, kind: type[S]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._state = folder / STATE
        self._decoder = msgspec.json.Decoder(kind, dec_hook=decoded)
        self._encoder = msgspec.json.Encoder(enc_hook=encoded)
        # The file that was read last. While it is open, its inode number can't be given to another
        # file, so a different number at the same path always tells of a change.
        self._held: int | None = None
        self._inode = -1

    @property
    def contents(self) -> Path:
        """Where the bytes of blobs are kept."""
        return self.folder / CONTENTS

    def begin(self, first: Callable[[], S]) -> S:
        """Return the state found in the folder, else the first one, now kept there."""
        with self.locked():
            if not self._state.exists():
                self.save(first())
            return self.load()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other processes that share the folder from changing it."""
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    @property
    def is_changed(self) -> bool:
        """Whether another state is in the folder than the one that was read or saved last."""
        try:
            return self._state.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def load(self) -> S:
        """Return the state. Raises CloudUnavailable when the file is gone or not one of ours."""
        try:
            file = os.open(self._state, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise CloudUnavailable(f"the stored cloud {self._state} is gone") from error
        self._hold(file)
        with open(file, "rb", closefd=False) as reader:
            text = reader.read()
        try:
            return self._decoder.decode(text)
        except msgspec.MsgspecError as error:
            self.close()
            raise CloudUnavailable(f"{self._state} is not a stored cloud: {error}") from error

    def save(self, state: S) -> None:
        """Replace the state. Only under `locked`."""
        new = self._state.with_suffix(".new")
        file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with open(file, "wb", closefd=False) as writer:
                writer.write(self._encoder.encode(state))
            new.replace(self._state)
        except BaseException:
            os.close(file)
            raise
        self._hold(file)

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None
            self._inode = -1

    def _hold(self, file: int) -> None:
        self.close()
        self._held, self._inode = file, os.fstat(file).st_ino
