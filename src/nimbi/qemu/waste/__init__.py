"""What nothing owns any more: left by killed processes, or by a guest that went unseen."""

from nimbi.qemu.waste.collection import collect, find
from nimbi.qemu.waste.item import Waste

__all__ = ["Waste", "collect", "find"]
