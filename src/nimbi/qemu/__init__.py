"""Real virtual machines on this machine: images, guests, keys. Stands alone, knows no cloud."""

from nimbi.qemu.errors import (
    Capacity,
    Conflict,
    Failed,
    Invalid,
    Missing,
    NotFound,
    QemuError,
    TimedOut,
)
from nimbi.qemu.execution import Outcome
from nimbi.qemu.hypervisor import Hypervisor, open_hypervisor
from nimbi.qemu.images import Image
from nimbi.qemu.kernel import Progress
from nimbi.qemu.keys import Key, KeyStore
from nimbi.qemu.record import Guest, State
from nimbi.qemu.spec import GuestSpec

__all__ = [
    "Capacity",
    "Conflict",
    "Failed",
    "Guest",
    "GuestSpec",
    "Hypervisor",
    "Image",
    "Invalid",
    "Key",
    "KeyStore",
    "Missing",
    "NotFound",
    "Outcome",
    "Progress",
    "QemuError",
    "State",
    "TimedOut",
    "open_hypervisor",
]
