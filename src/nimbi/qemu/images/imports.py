"""Making an image of a disk image that somebody else has made, without trusting any of it."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from nimbi.qemu.errors import Capacity, Failed, Invalid, QemuError
from nimbi.qemu.guests.spec import MAX_NAME, printable
from nimbi.qemu.host import room
from nimbi.qemu.host.execution import Outcome, execute
from nimbi.qemu.host.files import private_directory
from nimbi.qemu.host.leash import Limits, confined
from nimbi.qemu.host.programs import ARCHITECTURE, SAID_AT_MOST, environment, require
from nimbi.qemu.images.boot_sector import HEAD_BYTES, boot_modes
from nimbi.qemu.images.builders.kernel import Progress
from nimbi.qemu.images.fetching import Fetch
from nimbi.qemu.images.formats import check_size, recognised
from nimbi.qemu.images.store import DISK, Facts, Image, ImageStore

NEEDED = ("qemu-img", "setpriv", "prlimit", "unshare")
SHA256 = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
LOOK_S = 60.0
CONVERT_S = 3600.0
LIMITS_OF_LOOK = Limits(memory_bytes=2**30, cpu_s=30, file_bytes=2 * HEAD_BYTES)
SPARE_BYTES = 64 * 2**20
"""What qcow2's own tables may take beside a thousandth of the disk."""

CHECKED = frozenset({"qcow2", "vmdk", "vhdx"})
"""Formats whose tables qemu-img can examine. A clean image may still lie, but not point outside."""

FETCHED, CONVERTED = 0.7, 0.95
FULL = "the image takes more of the disk than is left"
STOPPED_BY: dict[signal.Signals, tuple[type[QemuError], str]] = {
    signal.SIGXFSZ: (Capacity, FULL),
    signal.SIGXCPU: (Invalid, "the image takes too long to read: its tables lead nowhere"),
}
"""Signal by which the system ends a program that goes beyond a limit: what that means."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What shall be imported: a URL or a path, with its SHA-256 where that is known.

    `name` is made from the source when absent. `login_user` is who gets the keys of guests: the
    image knows, we do not.
    """

    source: str
    name: str | None = None
    description: str = ""
    sha256: str | None = None
    login_user: str | None = None

    @property
    def shown_name(self) -> str:
        """The name that was asked for, or the last part of the source."""
        path = urlsplit(self.source).path if "://" in self.source else self.source
        return self.name or PurePosixPath(path).stem[:MAX_NAME] or "imported"


def check(order: Order) -> None:
    """Raise Invalid, naming the field, for an order that cannot be meant."""
    for what, text in (("name", order.shown_name), ("description", order.description)):
        if len(text) > MAX_NAME or not printable(text):
            raise Invalid(f"{what} has more than {MAX_NAME} or has unprintable characters")
    if order.sha256 is not None and not SHA256.fullmatch(order.sha256):
        raise Invalid("sha256 is not a digest of 64 hexadecimal digits")
    if order.login_user is not None and not USER.fullmatch(order.login_user):
        raise Invalid("login_user is not a user's name")


async def import_image(
    store: ImageStore, root: Path, order: Order, progress: Progress = lambda step, share: None
) -> Image:
    """Return the image of a disk image: qcow2, raw, vmdk, vhd or vhdx, found out by its content.

    The same content gives the same image, named as at first. It must stand alone, fit a guest's
    disk and be bootable. Raises Invalid for what is not so, and for a wrong digest; NotFound,
    Capacity, Missing, TimedOut, and Failed when the source is cut off.
    """
    check(order)
    require(NEEDED)
    async with store.building() as work, room.promised(root, work, SPARE_BYTES) as promise:
        source = work / "source"
        fetch = Fetch(target=source, room=_room(promise), told=_telling(progress))
        digest = await fetch.run(order.source)
        _compare(digest, order.sha256)
        recipe = f"import sha256:{digest}"
        found = await asyncio.to_thread(store.by_recipe, recipe)
        image = found or await _make(store, work, promise, order, recipe, progress)
    progress("the image is ready", 1.0)
    return image


async def _make(
    store: ImageStore,
    work: Path,
    promise: room.Promise,
    order: Order,
    recipe: str,
    progress: Progress,
) -> Image:
    source, parts = work / "source", private_directory(work / "image")
    progress("examining the image", FETCHED)
    kind = await asyncio.to_thread(recognised, source)
    disk_bytes = await _examined(source, kind)
    progress("converting the image", FETCHED + 0.02)
    await _convert(source, kind, parts / DISK, promise, disk_bytes)
    modes = await _boot_modes(parts / DISK, work / "head", disk_bytes)
    progress("adding the image to the catalogue", CONVERTED)
    facts = Facts(
        name=order.shown_name,
        description=order.description or f"imported from {kind}",
        recipe=recipe,
        disk_bytes=disk_bytes,
        architecture=ARCHITECTURE,
        boot_modes=modes,
        origin="import",
        says_ready=False,
        login_user=order.login_user,
    )
    return await asyncio.to_thread(store.add, parts, facts)


def _room(promise: room.Promise) -> Callable[[int | None], None]:
    def ask(size: int | None) -> None:
        promise.check() if size is None else promise.grow(size)

    return ask


def _telling(progress: Progress) -> Callable[[int, int | None], None]:
    loop = asyncio.get_running_loop()
    last = -1

    def told(come: int, whole: int | None) -> None:
        nonlocal last
        mib = come // 2**20
        share = come * 100 // whole if whole else mib // 16
        if share != last:
            last = share
            of = f" of {whole // 2**20}" if whole else ""
            done = FETCHED * (come / whole if whole else 0.5)
            loop.call_soon_threadsafe(progress, f"fetching the image: {mib}{of} MiB", done)

    return told


def _compare(digest: str, wanted: str | None) -> None:
    if wanted is None:
        return
    found = SHA256.fullmatch(wanted)
    if found is None or found.group(1).lower() != digest:
        raise Invalid(f"the file has the SHA-256 {digest}, not the one that was given")


async def _examined(source: Path, kind: str) -> int:
    """Return the size of the disk in bytes. Raises Invalid for an image that is not whole."""
    said = await _look("info", "--output=json", _node(source, kind))
    try:
        told: dict[str, Any] = json.loads(said)
        size = int(told["virtual-size"])
    except (KeyError, TypeError, ValueError):
        raise Failed("qemu-img does not tell what the image is") from None
    special = told.get("format-specific", {}).get("data", {})
    outside = [
        told.get(name) for name in ("backing-filename", "full-backing-filename", "encrypted")
    ]
    if told.get("format") not in {kind, "raw"} or any(outside) or special.get("data-file"):
        raise Invalid("the image does not stand alone, or is encrypted")
    check_size(size)
    if kind in CHECKED:
        await _look("check", "--output=json", _node(source, kind))
    return size


async def _look(verb: str, *arguments: str) -> bytes:
    command = await confined(LIMITS_OF_LOOK, "qemu-img", verb, *arguments)
    ended = await execute(command, environment=environment(), within_s=LOOK_S)
    if ended.exit_code:
        raise _reason(ended)
    return ended.out


def _node(file: Path, kind: str) -> str:
    """Return a file as the one and only file of an image, whatever its header says."""
    node: dict[str, Any] = {"driver": kind, "file": {"driver": "file", "filename": str(file)}}
    if kind in {"qcow2", "vmdk"}:
        node["backing"] = None
    return f"json:{json.dumps(node)}"


async def _convert(
    source: Path, kind: str, disk: Path, promise: room.Promise, disk_bytes: int
) -> None:
    most = disk_bytes + disk_bytes // 1000 + SPARE_BYTES
    given = await asyncio.to_thread(promise.grow_to_fit, most)
    limits = Limits(cpu_s=int(CONVERT_S), file_bytes=given)
    out = ("-O", "qcow2", "-o", "compat=1.1")
    command = await confined(limits, "qemu-img", "convert", *out, _node(source, kind), disk)
    ended = await execute(command, environment=environment(), within_s=CONVERT_S)
    if ended.exit_code:
        raise _reason(ended)
    await asyncio.to_thread(_settle, disk)


def _settle(disk: Path) -> None:
    with disk.open("rb+") as file:
        os.fsync(file.fileno())


def _reason(ended: Outcome) -> QemuError:
    for by, (kind, words) in STOPPED_BY.items():
        if ended.exit_code == -by:
            return kind(words)
    said = ended.err.decode("utf-8", "replace").strip()[-SAID_AT_MOST:]
    if "No space left on device" in said or "File too large" in said:
        return Capacity(FULL)
    if ended.exit_code < 0:
        return Failed(f"qemu-img was ended by signal {-ended.exit_code}")
    # The words hold paths of the workspace, which mean nothing to whoever reads them.
    return Invalid(f"qemu-img can't read the image: {_without_paths(said)}")


def _without_paths(said: str) -> str:
    return re.sub(r"json:\{.*?\}\}|'?/\S*/\.new-\S*", "the image", said)


async def _boot_modes(disk: Path, head: Path, disk_bytes: int) -> tuple[str, ...]:
    await _look(
        "dd", "-f", "qcow2", "-O", "raw", f"bs={HEAD_BYTES}", "count=1", f"if={disk}", f"of={head}"
    )
    start = await asyncio.to_thread(head.read_bytes)
    return await asyncio.to_thread(boot_modes, start, disk_bytes)
