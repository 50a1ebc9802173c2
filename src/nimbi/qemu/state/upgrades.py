"""How a state directory of one version becomes one of the next."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nimbi.qemu.host.files import write_json

GUESTS_OF_1: Mapping[str, Any] = {
    "boot": "kernel",
    "says_ready": True,
    "paused": False,
    "trouble": None,
}
"""All guests of version 1 are of the demo image, which is started by its kernel."""

IMAGES_OF_1: Mapping[str, Any] = {
    "boot_modes": ["kernel"],
    "origin": "demo",
    "says_ready": True,
    "login_user": "root",
    "least_memory_mib": 0,
    "state": "available",
    "reason": None,
    "guest_id": None,
}


def _from_1(root: Path) -> None:
    _add_fields(root / "guests", "record.json", GUESTS_OF_1)
    _add_fields(root / "images", "manifest.json", IMAGES_OF_1)
    # Version 2 keeps each content once, however many images have it.
    for manifest, described in _objects(root / "images", "manifest.json"):
        for part, digest in described["parts"].items():
            _link(manifest.parent / part, root / "images" / "blobs" / f"sha256-{digest}")


def _link(file: Path, name: Path) -> None:
    name.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError, FileNotFoundError):
        name.hardlink_to(file)


def _add_fields(parent: Path, name: str, fields: Mapping[str, Any]) -> None:
    """Add fields to all JSON objects of that name that lack them; one that can't be read is left.

    It is the reader of the whole record who says what is wrong with it.
    """
    for file, old in _objects(parent, name):
        if not fields.keys() <= old.keys():
            write_json(file, {**fields, **old})


def _objects(parent: Path, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(parent.glob(f"[!.]*/{name}")):
        try:
            held = json.loads(file.read_bytes())
        except ValueError:
            continue
        if isinstance(held, dict):
            yield file, held


UPGRADES: Mapping[int, Callable[[Path], None]] = {1: _from_1}
"""Version: the step from it to the next. A step may be killed anywhere, and is then repeated."""
