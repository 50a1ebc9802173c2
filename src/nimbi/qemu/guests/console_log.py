"""Console logs: what guests print, bounded in size."""

from pathlib import Path

from nimbi.qemu.guests.record import CONSOLE, Record, lives
from nimbi.qemu.guests.store import GuestStore

LIMIT = 64 * 2**10
"""Bytes of the console that are given out unless more are asked for."""

MAX_BYTES = 4 * 2**20
KEPT_BYTES = 2**20


def tail(directory: Path, limit: int) -> bytes:
    """Return the last bytes of a guest's console; nothing when it never booted."""
    try:
        with (directory / CONSOLE).open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - limit))
            return log.read(limit)
    except FileNotFoundError:
        return b""


def whole(directory: Path) -> bytes:
    """Return all of a guest's console that is kept."""
    return tail(directory, MAX_BYTES)


def trim_all(guests: GuestStore, records: list[Record]) -> None:
    """Cut the logs of guests that have printed too much to their last part."""
    for record in records:
        file = guests.directory(record.id) / CONSOLE
        done = record.ready or not lives(record)
        if done and file.exists() and file.stat().st_size > MAX_BYTES:
            _trim(file)


def _trim(file: Path) -> None:
    # QEMU appends, so it goes on behind what is written here. It may print between the two
    # steps; those lines then come first.
    kept = tail(file.parent, KEPT_BYTES)
    with file.open("r+b") as log:
        log.truncate(0)
    with file.open("ab") as log:
        log.write(kept)
