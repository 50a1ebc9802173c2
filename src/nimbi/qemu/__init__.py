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
    Unsupported,
    Unusable,
)
from nimbi.qemu.guests.consoles import Console
from nimbi.qemu.guests.consoles import Kind as ConsoleKind
from nimbi.qemu.guests.keys import Key, KeyStore
from nimbi.qemu.guests.record import Guest, State
from nimbi.qemu.guests.spec import GuestSpec
from nimbi.qemu.host.execution import Outcome
from nimbi.qemu.hypervisor import Hypervisor, open_hypervisor
from nimbi.qemu.images.builders.kernel import Progress
from nimbi.qemu.images.imports import Order
from nimbi.qemu.images.store import Image, ImageState
from nimbi.qemu.options import Options

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
