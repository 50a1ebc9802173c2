"""Shelf itself: a cloud that keeps disks, each a file in a folder, with an SDK that blocks.

A real cloud is elsewhere, and this file is its vendor's SDK.
"""

import hashlib
import json
import math
import re
import threading
from pathlib import Path
from typing import Any

USERS = {"reader": "open-sesame"}
BOARDS = {"top": "Top board", "bottom": "Bottom board"}
LARGEST_GIB = 1024
DISK_ID = re.compile(r"disk-[0-9a-f]{16}\Z")


class ShelfError(Exception):
    """What the cloud refused; `code` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Shelf:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()

    def check_login(self, user: str, password: str) -> None:
        if USERS.get(user) != password:
            raise ShelfError("bad_login", "no such user and password")

    def disks(self, after: str, count: int) -> list[dict[str, Any]]:
        """Return up to `count` disks whose ids come after `after`, in the order of their ids."""
        if after and not DISK_ID.match(after):
            raise ShelfError("bad_value", "after must be the id of a disk")
        with self._lock:
            ids = sorted(path.stem for path in self._folder.glob("disk-*.json"))
            return [self._read(id) for id in ids if id > after][:count]

    def disk(self, id: str) -> dict[str, Any]:
        with self._lock:
            return self._read(id)

    def make_disk(
        self, request: str, label: str | None, gib: float, board: str, made: str
    ) -> dict[str, Any]:
        """Return a new disk; the same `request` again returns the disk that it made."""
        if board not in BOARDS:
            raise ShelfError("bad_value", f"there is no board {board!r}")
        if not (math.isfinite(gib) and 0 < gib <= LARGEST_GIB):
            raise ShelfError("bad_value", f"a disk has up to {LARGEST_GIB} GiB, not {gib}")
        id = f"disk-{hashlib.sha256(request.encode()).hexdigest()[:16]}"
        path = self._folder / f"{id}.json"
        with self._lock:
            if not path.exists():
                disk = {"id": id, "label": label, "gib": gib, "board": board, "made": made}
                path.write_text(json.dumps(disk))
            return self._read(id)

    def remove_disk(self, id: str) -> None:
        with self._lock:
            self._read(id)
            (self._folder / f"{id}.json").unlink()

    def _read(self, id: str) -> dict[str, Any]:
        if DISK_ID.match(id):
            path = self._folder / f"{id}.json"
            if path.exists():
                disk: dict[str, Any] = json.loads(path.read_text())
                return disk
        raise ShelfError("no_such_disk", f"there is no disk {id!r}")
