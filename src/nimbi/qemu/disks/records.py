"""What is known of volumes and snapshots: one record each, the only truth about it."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nimbi.qemu.errors import Invalid
from nimbi.qemu.guests.spec import MAX_TOKEN, printable

MAX_TEXT = 255
MAX_GIB = 2**16
DISK = "disk.qcow2"


class Hold(StrEnum):
    """How a volume stands to the guest that its record names. In FREE it names none.

    ATTACHING and DETACHING are written before anything is done, so that whoever finds them goes
    on. A DETACHING volume belongs to its guest until the guest's system has let go of it.
    """

    FREE = "free"
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class SnapshotState(StrEnum):
    """Only a COMPLETED snapshot has data."""

    PENDING = "pending"
    COMPLETED = "completed"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A disk that lives apart from guests. Changed only under its lock.

    `slot` is its place on the guest's PCI bus, `device` the name that was asked for, which the
    guest does not know: in there it is found by its serial number, which is `id`. While `growing`
    the disk may still be smaller than `size_gib`. With `snapshot_id` the disk has only what
    differs from that snapshot, and needs it.
    """

    id: str
    name: str | None
    description: str | None
    size_gib: int
    snapshot_id: str | None
    created_at: datetime
    hold: Hold = Hold.FREE
    guest_id: str | None = None
    slot: int | None = None
    device: str | None = None
    growing: bool = False
    wish: str = field(default="", repr=False)

    @property
    def place(self) -> str | None:
        """Where its guest's system shows it: the device asked for, or else the name by serial."""
        if self.guest_id is None:
            return None
        return self.device or f"/dev/disk/by-id/virtio-{self.id}"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a volume held at one moment: a full copy, which needs nothing else.

    `consistent` is "filesystem" when the guest's file systems were frozen for it, else "crash":
    what was written by then is there, as after a power cut. While it is made, `guest_id` is the
    guest whose QEMU copies, None when qemu-img does, and `reserved_mib` the room that is kept for
    it. `began` says that its moment has come.
    """

    id: str
    name: str | None
    description: str | None
    volume_id: str
    size_gib: int
    created_at: datetime
    state: SnapshotState = SnapshotState.PENDING
    consistent: str | None = None
    error: str | None = None
    size_bytes: int = 0
    guest_id: str | None = None
    began: bool = False
    reserved_mib: int = 0
    wish: str = field(default="", repr=False)

    @property
    def is_completed(self) -> bool:
        """Whether it has data."""
        return self.state is SnapshotState.COMPLETED


def made_id(prefix: str, token: str | None) -> str:
    """Return the id that belongs to a token, or a new one. Raises Invalid for a bad token."""
    if token is None:
        return f"{prefix}-{secrets.token_hex(8)}"
    if not 0 < len(token) <= MAX_TOKEN:
        raise Invalid(f"token has {len(token)} characters, not 1 to {MAX_TOKEN}")
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}-{digest[:16]}"


def digest(*wish: str | int | None) -> str:
    """Return what is equal for equal wishes only."""
    return hashlib.sha256(json.dumps(wish).encode()).hexdigest()


def check_text(what: str, text: str | None) -> None:
    """Raise Invalid for a name or description that cannot be kept and shown."""
    if text is None:
        return
    if len(text) > MAX_TEXT:
        raise Invalid(f"{what} has {len(text)} characters, more than {MAX_TEXT}")
    if not printable(text):
        raise Invalid(f"{what} has control characters or broken Unicode")
