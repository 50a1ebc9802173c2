"""The store of images: directories named by what is in them, with a manifest."""

import hashlib
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nimbi.qemu.errors import NotFound
from nimbi.qemu.files import private_directory, sha256, sweep, sync_directory, workspace, write_json

KERNEL = "kernel"
INITRD = "initrd"
DISK = "disk.qcow2"
PARTS = (KERNEL, INITRD, DISK)
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Image:
    """What guests are made from.

    `recipe` digests what the image was built from, `digest` its parts. `size_bytes` counts all
    parts as stored, `disk_bytes` is the size that the guest sees, `architecture` is named as the
    kernel names it.
    """

    id: str
    name: str
    description: str
    digest: str
    recipe: str
    size_bytes: int
    disk_bytes: int
    architecture: str
    created_at: datetime
    path: Path


class ImageStore:
    """Images below one directory, safe for several processes: an image is there whole or not."""

    def __init__(self, root: Path) -> None:
        """Keep images below `root`, made when it does not exist."""
        self._root = private_directory(root)

    def all(self) -> list[Image]:
        """Return all images, the oldest first."""
        found = [_read(manifest) for manifest in self._root.glob(f"[!.]*/{MANIFEST}")]
        return sorted(found, key=lambda image: (image.created_at, image.id))

    def get(self, id: str) -> Image:
        """Return one image. Raises NotFound."""
        for image in self.all():
            if image.id == id:
                return image
        raise NotFound(f"there is no image {id!r}")

    def by_recipe(self, recipe: str) -> Image | None:
        """Return the image that was built from exactly these things, if there is one."""
        return next((image for image in self.all() if image.recipe == recipe), None)

    def building(self) -> AbstractAsyncContextManager[Path]:
        """Give an empty directory to build in; what is still in it at the end is removed."""
        return workspace(self._root)

    def add(
        self,
        parts: Path,
        *,
        name: str,
        description: str,
        recipe: str,
        disk_bytes: int,
        machine: str,
    ) -> Image:
        """Move a directory that holds all PARTS into the store, as one step, and return the image.

        Adding what is already there returns what is there.
        """
        digests = {part: sha256(parts / part) for part in PARTS}
        digest = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
        image = Image(
            id=f"img-{digest[:16]}",
            name=name,
            description=description,
            digest=f"sha256:{digest}",
            recipe=recipe,
            size_bytes=sum((parts / part).stat().st_size for part in PARTS),
            disk_bytes=disk_bytes,
            architecture=machine,
            created_at=datetime.now(UTC).replace(microsecond=0),
            path=self._root / f"img-{digest[:16]}",
        )
        if image.path.exists():
            return _read(image.path / MANIFEST)
        for part in PARTS:
            (parts / part).chmod(0o400)
        described = {**asdict(image), "created_at": image.created_at.isoformat(), "parts": digests}
        write_json(parts / MANIFEST, {k: v for k, v in described.items() if k != "path"})
        parts.rename(image.path)
        sync_directory(self._root)
        return image

    def clean(self) -> None:
        """Remove what builders that were killed have left behind."""
        sweep(self._root)


def _read(manifest: Path) -> Image:
    fields = json.loads(manifest.read_bytes())
    fields.pop("parts")
    fields["created_at"] = datetime.fromisoformat(fields["created_at"])
    return Image(**fields, path=manifest.parent)
