"""Hardware profiles of the local cloud, for which no login is needed."""

from nimbi.driver.compute import HardwareProfiles
from nimbi.drivers.local.session import OfSession
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.hardware_profiles import Enum, Fixed, HardwareProfile, Range, Sizes
from nimbi.model.page import Page
from nimbi.qemu.capacity import largest
from nimbi.qemu.programs import ARCHITECTURE
from nimbi.qemu.spec import MAX_CPUS, MAX_DISK_GIB, MIN_MEMORY_MIB

MACHINE = Fixed(ARCHITECTURE)
ROOT = Fixed("persistent")

FIXED = (
    HardwareProfile(
        id="small",
        name="Small",
        cpus=Fixed(1),
        memory_mib=Fixed(128),
        storage_gib=Fixed(1),
        architecture=MACHINE,
        root_type=ROOT,
    ),
    HardwareProfile(
        id="medium",
        name="Medium",
        cpus=Fixed(1),
        memory_mib=Fixed(512),
        storage_gib=Enum(values=(2, 4, 8), default=4),
        architecture=MACHINE,
        root_type=ROOT,
    ),
)
DEFAULT = FIXED[0]


def profiles() -> tuple[HardwareProfile, ...]:
    """Return all profiles; the last one ends where this machine does."""
    cpus, memory_mib = largest()
    custom = HardwareProfile(
        id="custom",
        name="Custom",
        cpus=Range(first=1, last=min(cpus, MAX_CPUS), default=1),
        memory_mib=Range(first=MIN_MEMORY_MIB, last=memory_mib, default=min(256, memory_mib)),
        storage_gib=Range(first=1, last=MAX_DISK_GIB, default=2),
        architecture=MACHINE,
        root_type=ROOT,
    )
    return (*FIXED, custom)


class LocalHardwareProfiles(OfSession, HardwareProfiles):
    """Three profiles: two sizes, and one to choose from."""

    async def page(self, marker: str | None, limit: int) -> Page[HardwareProfile]:
        return self.paged(profiles(), marker, limit, lambda profile: profile.id)

    async def get(self, id: str) -> HardwareProfile:
        return profile(id)


def profile(id: str) -> HardwareProfile:
    """Return the profile of this id. Raises NotFound."""
    for found in profiles():
        if found.id == id:
            return found
    raise NotFound(f"there is no hardware profile {id!r}")


def sized(chosen: HardwareProfile, sizes: Sizes) -> dict[str, int]:
    """Return cpus, memory_mib and storage_gib: what is asked, or else the profile's defaults.

    Raises Invalid for what the profile does not offer, and for fractions.
    """
    chosen.check(sizes)
    asked = sizes.given()
    found: dict[str, int] = {}
    for name, rule in chosen.properties().items():
        value = asked.get(name, rule.default)
        if isinstance(value, str):
            continue
        if value != int(value):
            raise Invalid(f"{name} is {value}, not a whole number")
        found[name] = int(value)
    return found
