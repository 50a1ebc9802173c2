"""The state directory: its layout, who may enter it, and which version of the layout it has."""

import asyncio
import json
import logging
import os
import pwd
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from nimbi.qemu.errors import Unusable
from nimbi.qemu.host.files import locked, private_directory, write_json
from nimbi.qemu.state.upgrades import UPGRADES

SCHEMA = "schema.json"
MODE = 0o700
UPGRADE_S = 600.0
"""How long a server waits for another one that upgrades the same directory."""

FIRST = ("guests", "images")
"""What version 1, which kept no version, made before anything else."""

LAYOUT: Mapping[str, str] = {
    SCHEMA: "the version of this layout",
    "login.json": "the login that was made up, and the key of page markers",
    "kvm.json": "what the probe of KVM found, for one QEMU on one kernel",
    "guests": "a directory a guest: record, root disk, seed, console log, sockets",
    "images": "a directory an image: manifest and content; `blobs` has each content by digest",
    "volumes": "a directory a volume: record and disk",
    "snapshots": "a directory a snapshot: record and disk",
    "blobs": "buckets: contents by id, and an index",
    "keys": "a file a key: its public half",
    "kernels": "kernels that were unpacked for the demo image",
    "network": "a directory a kind, with a file a thing: networks, cards, firewalls, addresses",
    "fabric": "what the network of running guests needs: configurations, logs, the gate's socket",
    "balancers": "HAProxy's configuration, log and socket",
    "locks": "lock files; they hold nothing",
}
"""What there is below the state directory, by name."""

log = logging.getLogger("nimbi.qemu")


def newest(upgrades: Mapping[int, Callable[[Path], None]] = UPGRADES) -> int:
    """Return the version to which these upgrades lead."""
    return max(upgrades, default=0) + 1


NEWEST = newest()
"""The version that this program works with."""


def version(root: Path) -> int | None:
    """Return the version of a state directory, None for a new one. Raises Unusable."""
    try:
        told = json.loads((root / SCHEMA).read_bytes())
    except FileNotFoundError:
        return 1 if any((root / name).exists() for name in FIRST) else None
    except ValueError:
        told = None
    number = told.get("version") if isinstance(told, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise Unusable(root, f"has a damaged {SCHEMA}: it must hold a version, as {_example()}")
    return number


def _example() -> str:
    return json.dumps({"version": NEWEST})


async def prepare(root: Path, upgrades: Mapping[int, Callable[[Path], None]] = UPGRADES) -> None:
    """Make `root` ready for use: there, ours, entered by nobody else, of the newest version.

    An upgrade that was cut short goes on where it stopped; of several processes one does it.
    Raises Unusable, before anything is touched, for a directory of somebody else and for one that
    a newer program has written.
    """
    last = newest(upgrades)
    if usable(root, last) == last:
        mend_mode(root)
        return
    mend_mode(root)
    async with locked(private_directory(root / "locks") / "schema.lock", UPGRADE_S):
        found = usable(root, last)
        if found is None:
            write_json(root / SCHEMA, {"version": last})
        # The version is written after each step: a step that was cut short is done again.
        for step in range(found or last, last):
            log.info("upgrading %s from version %d to %d", root, step, step + 1)
            await asyncio.to_thread(upgrades[step], root)
            write_json(root / SCHEMA, {"version": step + 1})


def usable(root: Path, last: int = NEWEST) -> int | None:
    """Return the version of a directory that is ours and not too new, None for a new one.

    Nothing is changed. Raises Unusable for any other.
    """
    check_owner(root)
    found = version(root)
    if found is not None and found > last:
        raise Unusable(
            root,
            f"was written by a newer Nimbi (version {found} of its layout, this one knows {last}): "
            "use that Nimbi, or another directory",
        )
    return found


def check_owner(root: Path) -> None:
    """Raise Unusable for what is not a directory, or not that of the user who runs this."""
    try:
        found = root.stat()
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise Unusable(root, "can't be a directory: one of its parents is a file") from None
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable(root, "is not a directory")
    if found.st_uid != os.geteuid():
        raise Unusable(
            root,
            f"belongs to {user(found.st_uid)}, and this is {user(os.geteuid())}: run as its owner, "
            "or use another directory",
        )


def mend_mode(root: Path) -> None:
    """Make the directory, and shut it for everybody but its owner; that it was open is logged."""
    root.mkdir(mode=MODE, parents=True, exist_ok=True)
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode != MODE:
        log.warning("%s had mode %04o, and has %04o now", root, mode, MODE)
        root.chmod(MODE)


def user(number: int) -> str:
    """Return a user's name, or the number of one that has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
