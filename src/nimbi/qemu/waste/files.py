"""Files and directories that nothing owns."""

import asyncio
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from time import time

from nimbi.qemu.guests.record import GONE, RECORD
from nimbi.qemu.host.files import UNFINISHED, put_away, try_lock
from nimbi.qemu.host.leash import clear
from nimbi.qemu.images.store import BLOBS, MANIFEST, ImageState
from nimbi.qemu.waste.item import Waste

SHELVES: Mapping[str, tuple[str, str]] = {
    "i": ("guests", RECORD),
    "img": ("images", MANIFEST),
    "vol": ("volumes", RECORD),
    "snap": ("snapshots", RECORD),
}
"""Start of an id: the directory in which its thing has one of its own, and the record in there."""

OWNED = re.compile(r"(?P<id>(?P<prefix>[a-z]+)-[0-9a-f]{16})(?:\.(?:lock|work|create))?")
AVAILABLE = ImageState.AVAILABLE.value
TORN = ".tmp-"
APART = {"blobs", "kernels"}
TORN_S = 600.0
"""A file is written to the disk within this time, or its writer was killed."""


def workspaces(root: Path) -> Iterator[Waste]:
    """Find directories in which something was made or removed by a process that was killed."""
    for place in _places(root):
        for work in _named(place, f"{UNFINISHED}*"):
            if not is_held(work / "lock"):
                yield _waste(
                    root, "workspace", work, "its builder was killed", partial(_remove_unheld, work)
                )


def without_record(root: Path) -> Iterator[Waste]:
    """Find directories of things whose record is not there: they can't be used by anybody."""
    for prefix, (place, record) in SHELVES.items():
        for path in _named(root / place, f"{prefix}-*"):
            if OWNED.fullmatch(path.name) and not _has_record(path, record):
                remove = partial(_remove_without, path, record)
                yield _waste(root, "directory", path, f"it has no {record}", remove)


def unnamed_content(root: Path) -> Iterator[Waste]:
    """Find files of images that no manifest names: what a build or a removal left."""
    for manifest in (image / MANIFEST for image in _named(root / "images", "img-*")):
        named = _parts(manifest)
        for path in _named(manifest.parent, "*"):
            if named is not None and path.name not in {MANIFEST, *named} and _is_old(path):
                yield _waste(root, "content", path, "no manifest names it", partial(_unlink, path))
    for blob in _named(root / "images" / BLOBS, "*"):
        if _links(blob) == 1:
            yield _waste(root, "content", blob, "no image has it", partial(_unlink_last, blob))


def torn_writes(root: Path) -> Iterator[Waste]:
    """Find files that were being written when their writer was killed."""
    for place, directories, names in os.walk(root):
        # Neither a workspace nor what has a way of its own to find its waste, and may be huge.
        directories[:] = [n for n in directories if n not in APART and not n.startswith(UNFINISHED)]
        for path in (Path(place) / name for name in sorted(names) if name.startswith(TORN)):
            if _is_old(path):
                yield _waste(root, "write", path, "its writer was killed", partial(_unlink, path))


def locks(root: Path) -> Iterator[Waste]:
    """Find lock files of things that are not there any more."""
    for lock in _named(root / "locks", "*-*.*"):
        found = OWNED.fullmatch(lock.name)
        if found is None or found["prefix"] not in SHELVES:
            continue
        owner = root / SHELVES[found["prefix"]][0] / found["id"]
        if not owner.exists() and not is_held(lock):
            remove = partial(_remove_lock, lock, owner)
            yield _waste(root, "lock", lock, f"there is no {found['id']}", remove)


def _waste(root: Path, kind: str, path: Path, why: str, remove: Callable[[], bool]) -> Waste:
    async def removing() -> bool:
        return await asyncio.to_thread(remove)

    name = str(path.relative_to(root))
    return Waste(kind=kind, what=name, why=why, size_bytes=_size(path), remove=removing)


def _named(place: Path, pattern: str) -> list[Path]:
    """Return the entries of a directory that match, sorted; none when it has gone meanwhile."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(path for path in place.iterdir() if fnmatchcase(path.name, pattern))
    return []


def _places(root: Path) -> list[Path]:
    """Return the directories in a directory, but for links: those lead to other states' things."""
    return [path for path in _named(root, "[!.]*") if path.is_dir() and not path.is_symlink()]


def _size(path: Path) -> int:
    """Return the room that a file, or all below a directory, takes on the disk."""
    paths = [path]
    # Unlike glob, this does not mind what goes away meanwhile.
    for parent, directories, files in os.walk(path):
        paths += (Path(parent) / name for name in (*directories, *files))
    total = 0
    for each in paths:
        with suppress(OSError):
            total += each.lstat().st_blocks * 512
    return total


def _links(path: Path) -> int:
    try:
        return path.stat().st_nlink
    except FileNotFoundError:
        return 0


def _is_old(path: Path) -> bool:
    try:
        return time() - path.lstat().st_mtime > TORN_S
    except FileNotFoundError:
        return False


def is_held(lock: Path) -> bool:
    """Say whether a process has this lock; the file is not made when it is not there."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _parts(manifest: Path) -> set[str] | None:
    """Return the names of an image's parts; None when it can't be told, or more are to come."""
    try:
        told = json.loads(manifest.read_bytes())
        return set(told["parts"]) if told.get("state", AVAILABLE) == AVAILABLE else None
    except (AttributeError, OSError, ValueError, KeyError, TypeError):
        return None


def _remove_unheld(work: Path) -> bool:
    try:
        lock = try_lock(work / "lock")
    except FileNotFoundError:
        return True
    if lock is None:
        return False
    try:
        clear(work)
    finally:
        os.close(lock)
    return not work.exists()


def _has_record(path: Path, record: str) -> bool:
    """Say whether a thing's record is there, be it that of a guest on its way out."""
    return (path / record).exists() or (path / GONE).exists()


def _remove_without(path: Path, record: str) -> bool:
    if _has_record(path, record):
        return False
    put_away(path, clear)
    return True


def _unlink(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True


def _unlink_last(blob: Path) -> bool:
    if _links(blob) > 1:
        return False
    return _unlink(blob)


def _remove_lock(lock: Path, owner: Path) -> bool:
    descriptor = try_lock(lock)
    if descriptor is None:
        return False
    try:
        # Whoever waits for the lock meanwhile sees that the file has lost its name: `try_lock`.
        if owner.exists():
            return False
        lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return True
