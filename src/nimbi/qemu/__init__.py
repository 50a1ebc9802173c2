"""Real virtual machines on this machine: images, guests, keys. Stands alone, knows no cloud."""

from nimbi.qemu.builders.kernel import Progress
from nimbi.qemu.consoles import Console
from nimbi.qemu.consoles import Kind as ConsoleKind
from nimbi.qemu.errors import (
    Capacity,
    Conflict,
    Failed,
    Invalid,
    Missing,
    NotFound,
    QemuError,
    TimedOut,
    Unsupported,
    Unusable,
)
from nimbi.qemu.execution import Outcome
from nimbi.qemu.hypervisor import Hypervisor, open_hypervisor
from nimbi.qemu.images import Image, ImageState
from nimbi.qemu.imports import Order
from nimbi.qemu.keys import Key, KeyStore
from nimbi.qemu.options import Options
from nimbi.qemu.record import Guest, State
from nimbi.qemu.spec import GuestSpec

__all__ = [
    "Capacity",
    "Conflict",
    "Console",
    "ConsoleKind",
    "Failed",
    "Guest",
    "GuestSpec",
    "Hypervisor",
    "Image",
    "ImageState",
    "Invalid",
    "Key",
    "KeyStore",
    "Missing",
    "NotFound",
    "Options",
    "Order",
    "Outcome",
    "Progress",
    "QemuError",
    "State",
    "TimedOut",
    "Unsupported",
    "Unusable",
    "open_hypervisor",
]
