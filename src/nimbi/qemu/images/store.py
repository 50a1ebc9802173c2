"""The catalogue of images: a directory an image, with a manifest, over files named by content."""

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from nimbi.qemu.errors import Conflict, Invalid, NotFound
from nimbi.qemu.guests.spec import GuestSpec
from nimbi.qemu.host.files import (
    private_directory,
    put_away,
    sha256,
    sweep,
    sync_directory,
    workspace,
    write_json,
)
from nimbi.qemu.host.leash import clear

KERNEL = "kernel"
INITRD = "initrd"
DISK = "disk.qcow2"
PARTS = (KERNEL, INITRD, DISK)
"""What an image may hold. A disk it always has; kernel and initrd for boot mode "kernel" only."""

MANIFEST = "manifest.json"
BLOBS = "blobs"
"""Each part of each image once more, as a hard link named by its digest."""

ID = re.compile(r"img-[0-9a-f]{16}")

log = logging.getLogger("nimbi.qemu")


class ImageState(StrEnum):
    """Only an AVAILABLE image can be started."""

    PENDING = "pending"
    AVAILABLE = "available"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What whoever makes an image says of it.

    `recipe` digests what the image is made from. `boot_modes` are "kernel" (kernel and initrd lie
    beside the disk), "bios" and "uefi", the preferred one first. A guest of an image that
    `says_ready` prints `nimbi: ready` on its serial line. `login_user` is None when not known.
    `disk_bytes` is the size that the guest sees, `least_memory_mib` what it needs to boot,
    `architecture` is named as the kernel names it, `origin` is "demo", "debian", "import" or
    "guest".
    """

    name: str
    description: str
    recipe: str
    disk_bytes: int
    architecture: str
    boot_modes: tuple[str, ...] = ("kernel",)
    origin: str = "demo"
    says_ready: bool = True
    login_user: str | None = "root"
    least_memory_mib: int = 0

    @property
    def boot(self) -> str:
        """The way in which guests of this image boot."""
        return self.boot_modes[0]

    def check(self, spec: GuestSpec) -> None:
        """Raise Invalid, naming the field, unless a guest of this size and boot mode boots."""
        least_gib = -(-self.disk_bytes // 2**30)
        if spec.disk_gib < least_gib:
            raise Invalid(f"disk_gib is {spec.disk_gib}, and the image needs {least_gib}")
        if spec.memory_mib < self.least_memory_mib:
            raise Invalid(
                f"memory_mib is {spec.memory_mib}, and the image needs {self.least_memory_mib}"
            )
        if spec.boot is not None and spec.boot not in self.boot_modes:
            raise Invalid(f"boot is {spec.boot!r}, and the image has {', '.join(self.boot_modes)}")


@dataclass(frozen=True, kw_only=True)
class Image(Facts):
    """What guests are made from.

    `digest` is that of its parts, empty while it is PENDING; `size_bytes` counts all parts as
    stored. `guest_id` is the guest of which it is made. `reason` says why it is in ERROR.
    """

    id: str
    digest: str
    size_bytes: int
    created_at: datetime
    path: Path
    state: ImageState = ImageState.AVAILABLE
    reason: str | None = None
    guest_id: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)


class ImageStore:
    """Images below one directory, safe for several processes: an image is there whole or not."""

    def __init__(self, root: Path) -> None:
        """Keep images below `root`, made when it does not exist."""
        self.root = private_directory(root)
        self._blobs = private_directory(root / BLOBS)

    def all(self) -> list[Image]:
        """Return all images, the oldest first. One whose manifest is damaged is left out."""
        found = [_read(manifest) for manifest in self.root.glob(f"[!.]*/{MANIFEST}")]
        return sorted((i for i in found if i), key=lambda image: (image.created_at, image.id))

    def get(self, id: str) -> Image:
        """Return one image. Raises NotFound."""
        image = self.find(id)
        if image is None:
            raise NotFound(f"there is no image {id!r}")
        return image

    def find(self, id: str) -> Image | None:
        """Return one image, or None."""
        return _read(self.root / id / MANIFEST) if ID.fullmatch(id) else None

    def usable(self, id: str) -> Image:
        """Return an image of which guests can be made. Raises NotFound, Conflict."""
        image = self.get(id)
        if image.state is not ImageState.AVAILABLE:
            raise Conflict(f"the image {id!r} is {image.state}, not available")
        return image

    def by_recipe(self, recipe: str) -> Image | None:
        """Return the image that was made from exactly these things, if there is one."""
        found = (i for i in self.all() if i.recipe == recipe and i.state is ImageState.AVAILABLE)
        return next(found, None)

    def building(self) -> AbstractAsyncContextManager[Path]:
        """Give an empty directory to build in; what is still in it at the end is removed."""
        return workspace(self.root)

    def add(self, parts: Path, facts: Facts) -> Image:
        """Move a directory that holds an image's parts into the store, as one step.

        The image's id comes from its content: adding what is already there returns what is there.
        """
        digests = self._stored(parts)
        digest = _digest_of(digests)
        image = _image(facts, f"img-{digest[:16]}", self.root, state=ImageState.AVAILABLE)
        image = replace(image, digest=digest, parts=digests, size_bytes=_size(parts, digests))
        return self._put(parts, replace(image, digest=f"sha256:{digest}"))

    def promise(self, parts: Path, facts: Facts, id: str, guest_id: str) -> Image:
        """Take note of an image that will be made of a guest's disk, and return it, PENDING.

        `parts` is a directory that holds all its parts but the disk. What is already noted under
        this id is returned.
        """
        digests = self._stored(parts)
        image = _image(facts, id, self.root, state=ImageState.PENDING)
        return self._put(parts, replace(image, guest_id=guest_id, parts=digests))

    def keep_promise(self, id: str, parts: Path) -> Image:
        """Give a PENDING image its disk, which lies in the directory `parts`. Raises NotFound."""
        image = self.get(id)
        digests = {**image.parts, **self._stored(parts)}
        with contextlib.suppress(FileExistsError):
            (image.path / DISK).hardlink_to(parts / DISK)
        sync_directory(image.path)
        done = replace(
            image,
            state=ImageState.AVAILABLE,
            reason=None,
            digest=f"sha256:{_digest_of(digests)}",
            parts=digests,
            size_bytes=_size(image.path, digests),
        )
        _write(image.path, done)
        return done

    def note(self, id: str, state: ImageState, reason: str | None = None) -> Image:
        """Change the state of an image that has no disk yet. Raises NotFound."""
        image = replace(self.get(id), state=state, reason=reason)
        _write(image.path, image)
        return image

    def remove(self, id: str) -> None:
        """Remove an image. Raises NotFound. The caller knows that no guest needs it."""
        put_away(self.get(id).path)
        self._drop_blobs()

    def clean(self) -> None:
        """Remove what builders that were killed have left behind."""
        # A builder without root leaves files behind that belong to its namespace's users.
        sweep(self.root, clear)
        self._drop_blobs()

    def _put(self, parts: Path, image: Image) -> Image:
        if found := _read(image.path / MANIFEST):
            return found
        _write(parts, image)
        try:
            parts.rename(image.path)
        except OSError:
            # Another one was quicker: a directory with something in it is not replaced.
            if found := _read(image.path / MANIFEST):
                return found
            raise
        sync_directory(self.root)
        return image

    def _stored(self, parts: Path) -> dict[str, str]:
        """Return {part: digest} of what is there; equal content becomes one file, read-only."""
        digests = {part: sha256(parts / part) for part in PARTS if (parts / part).exists()}
        for part, digest in digests.items():
            (parts / part).chmod(0o400)
            self._shared(parts / part, self._blobs / f"sha256-{digest}")
        return digests

    def _shared(self, part: Path, blob: Path) -> None:
        while not (blob.exists() and part.samefile(blob)):
            spare = part.with_name(f".{part.name}")
            try:
                with contextlib.suppress(FileExistsError):
                    blob.hardlink_to(part)
                    continue
                spare.unlink(missing_ok=True)
                spare.hardlink_to(blob)
            except FileNotFoundError:
                # The last image that had it is being removed.
                continue
            spare.replace(part)

    def _drop_blobs(self) -> None:
        for blob in self._blobs.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if blob.stat().st_nlink == 1:
                    blob.unlink()


def _digest_of(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


def _size(place: Path, parts: Mapping[str, str]) -> int:
    return sum((place / part).stat().st_size for part in parts)


def _image(facts: Facts, id: str, root: Path, state: ImageState) -> Image:
    return Image(
        **{each.name: getattr(facts, each.name) for each in fields(Facts)},
        id=id,
        digest="",
        size_bytes=0,
        created_at=datetime.now(UTC).replace(microsecond=0),
        path=root / id,
        state=state,
    )


def _write(place: Path, image: Image) -> None:
    described = {**asdict(image), "created_at": image.created_at.isoformat()}
    del described["path"]
    write_json(place / MANIFEST, described)


def _read(manifest: Path) -> Image | None:
    """Return the image, None when there is none. Fields that older versions lack have defaults."""
    try:
        described: dict[str, Any] = json.loads(manifest.read_bytes())
        described["created_at"] = datetime.fromisoformat(described["created_at"])
        described["boot_modes"] = tuple(described.get("boot_modes", Facts.boot_modes))
        described["state"] = ImageState(described.get("state", ImageState.AVAILABLE))
        return Image(**described, path=manifest.parent)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("the image manifest %s is damaged: %s", manifest, error)
        return None


def link_parts(source: Image, place: Path) -> None:
    """Give a directory the kernel and initrd of an image, as hard links."""
    for part in (KERNEL, INITRD):
        if part in source.parts:
            os.link(source.path / part, place / part)
