"""Hardware profiles of the local cloud, for which no login is needed."""

from contextlib import suppress
from typing import overload

from nimbi.driver.compute import HardwareProfiles
from nimbi.drivers.local.session import OfSession
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.hardware_profiles import Enum, Fixed, HardwareProfile, Property, Range, Sizes
from nimbi.model.page import Page
from nimbi.qemu.guests.spec import MAX_CPUS, MAX_DISK_GIB, MIN_MEMORY_MIB
from nimbi.qemu.host.capacity import largest
from nimbi.qemu.host.programs import ARCHITECTURE
from nimbi.qemu.images.store import Facts

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
        found[name] = whole(name, value)
    return found


@overload
def whole(name: str, value: float) -> int: ...


@overload
def whole(name: str, value: float | None) -> int | None: ...


def whole(name: str, value: float | None) -> int | None:
    """Return a size as the whole number that it must be. Raises Invalid."""
    if value is not None and value != int(value):
        raise Invalid(f"{name} is {value}, not a whole number")
    return None if value is None else int(value)


def bears(chosen: HardwareProfile, image: Facts) -> bool:
    """Say whether the image boots on the largest machine of this profile."""
    need = {"memory_mib": image.least_memory_mib, "storage_gib": image.disk_bytes / 2**30}
    rules = chosen.properties()
    return all(value <= _most(rules[name]) for name, value in need.items() if name in rules)


def _most(rule: Property) -> float:
    if isinstance(rule, Range):
        return rule.last
    values = rule.values if isinstance(rule, Enum) else (rule.default,)
    return max(float(value) for value in values)


def default_for(image: Facts) -> HardwareProfile:
    """Return the smallest profile whose own defaults suffice for the image, or else the last."""
    for found in profiles():
        sizes = {name: rule.default for name, rule in found.properties().items()}
        memory, disk = float(sizes["memory_mib"]), float(sizes["storage_gib"]) * 2**30
        if image.least_memory_mib <= memory and image.disk_bytes <= disk:
            return found
    return profiles()[-1]


def fitting_profile(id: str | None, sizes: Sizes) -> HardwareProfile:
    """Return the profile of this id when it offers the sizes, and else the one to choose from.

    Raises Invalid for sizes that no profile offers.
    """
    *fixed, custom = profiles()
    for found in fixed:
        if found.id == id:
            with suppress(Invalid):
                found.check(sizes)
                return found
    custom.check(sizes)
    return custom
