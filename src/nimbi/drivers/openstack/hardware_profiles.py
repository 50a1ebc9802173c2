"""Hardware profiles: Nova's flavours, the smallest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nimbi.driver.compute import HardwareProfiles
from nimbi.drivers.openstack.session import OfSession, Session
from nimbi.model.errors import CloudError, Invalid, NotFound
from nimbi.model.hardware_profiles import Fixed, HardwareProfile, Property, Sizes
from nimbi.model.page import Page

# An operator makes or takes away a flavour now and then; one that is not known is asked for anew.
AGE_S = 300.0

# Source: https://docs.openstack.org/nova/latest/configuration/extra-specs.html
GPUS = ("resources:VGPU", "resources:PGPU")
# Source: https://docs.openstack.org/os-traits/latest/reference/
ARCHITECTURE = "trait:HW_ARCH_"


@dataclass(frozen=True)
class Profiles:
    """All flavours that a project may use, in their order."""

    by_id: Mapping[str, HardwareProfile]

    def get(self, id: str) -> HardwareProfile:
        """Return one. Raises NotFound."""
        if id in self.by_id:
            return self.by_id[id]
        raise NotFound(f"there is no hardware profile {id[:100]!r}")

    def smallest(self, memory_mib: int, storage_gib: int, sizes: Sizes) -> HardwareProfile:
        """Return the first one with these sizes and at least so much memory and disk.

        One whose disk is 0 takes any. Raises Invalid when there is none.
        """
        for profile in self.by_id.values():
            storage = _value(profile.storage_gib)
            has_room = not storage or storage >= storage_gib
            if has_room and _value(profile.memory_mib) >= memory_mib and _offers(profile, sizes):
                return profile
        raise Invalid("no hardware profile has these sizes and is large enough for the image")

    def resized(self, id: str, sizes: Sizes) -> HardwareProfile:
        """Return the flavour that differs from another only in `sizes`.

        Of several the one with the most of the same extra specs. Raises Invalid for none.
        """
        now = self.get(id)
        if _offers(now, sizes):
            return now
        if sizes.storage_gib is not None:
            raise Invalid("resizing does not change the disk")
        architecture = Sizes(architecture=sizes.architecture)
        cpus = now.cpus if sizes.cpus is None else Fixed(sizes.cpus)
        memory = now.memory_mib if sizes.memory_mib is None else Fixed(sizes.memory_mib)
        fitting = [
            profile
            for profile in self.by_id.values()
            if (profile.cpus, profile.memory_mib) == (cpus, memory)
            and (profile.storage_gib, profile.gpus) == (now.storage_gib, now.gpus)
            and _offers(profile, architecture)
        ]
        if not fitting:
            raise Invalid(f"no hardware profile like {id!r} has these sizes")
        specs = _specs(now).items()
        return max(fitting, key=lambda profile: len(specs & _specs(profile).items()))


class OpenStackHardwareProfiles(OfSession, HardwareProfiles):
    """Flavours that the project may use, by memory, CPUs and disk."""

    async def page(self, marker: str | None, limit: int) -> Page[HardwareProfile]:
        found = list((await profiles_of(self.session)).by_id.values())
        start = 0
        if marker is not None:
            places = [at for at, profile in enumerate(found) if profile.id == marker]
            if not places:
                raise Invalid("no page gave this marker")
            start = places[0] + 1
        page = tuple(found[start : start + limit])
        return Page(page, page[-1].id if start + limit < len(found) else None)

    async def get(self, id: str) -> HardwareProfile:
        return await profile_of(self.session, id)


async def profile_of(session: Session, id: str) -> HardwareProfile:
    """Return one flavour, also one that was made a moment ago. Raises NotFound."""
    profiles = await profiles_of(session)
    if id not in profiles.by_id:
        session.backend.shared.forget(_key(session))
        profiles = await profiles_of(session)
    return profiles.get(id)


async def profiles_of(session: Session) -> Profiles:
    """Return all flavours of the session's project, at most AGE_S old."""

    async def fetch() -> Profiles:
        found = [
            read(flavour) async for flavour in session.each("compute", "/flavors/detail", "flavors")
        ]
        return Profiles({profile.id: profile for profile in sorted(found, key=_rank)})

    return await session.backend.cached(_key(session), AGE_S, fetch)


async def ids_by_name(session: Session) -> Mapping[str, str]:
    """Return ids of flavours by name."""
    profiles = await profiles_of(session)
    return {profile.name: profile.id for profile in profiles.by_id.values()}


def read(flavour: Mapping[str, Any]) -> HardwareProfile:
    """Read a flavour. Raises CloudError for what is none.

    Source: https://docs.openstack.org/api-ref/compute/#list-flavors-with-details
    """
    try:
        specs = flavour.get("extra_specs") or {}
        return HardwareProfile(
            id=flavour["id"],
            name=flavour["name"],
            cpus=_fixed(flavour["vcpus"]),
            memory_mib=_fixed(flavour["ram"]),
            storage_gib=_fixed(flavour["disk"]),
            architecture=_architecture(specs),
            root_type=Fixed("transient" if flavour["disk"] else "persistent"),
            gpus=_fixed(_gpus(specs)),
            extra=flavour,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise CloudError(f"Nova told of a flavour without {error}") from None


def _key(session: Session) -> tuple[str, ...]:
    return ("flavours", *session.key)


def _fixed(value: int | float | None) -> Fixed | None:
    return Fixed(value) if value else None


def _gpus(specs: Mapping[str, str]) -> int:
    told = [specs.get(name, "") for name in GPUS]
    return sum(int(count) for count in told if count.isascii() and count.isdecimal())


def _architecture(specs: Mapping[str, str]) -> Property | None:
    for name, word in specs.items():
        if name.startswith(ARCHITECTURE) and word == "required":
            return Fixed(name.removeprefix(ARCHITECTURE).lower())
    return None


def _rank(profile: HardwareProfile) -> tuple[object, ...]:
    """Order flavours: those for any machine first, then by size."""
    return (
        profile.gpus is not None,
        _value(profile.memory_mib),
        _value(profile.cpus),
        _value(profile.storage_gib),
        profile.name,
        profile.id,
    )


def _value(told: Property | None) -> float:
    value = told.default if told else 0
    return 0 if isinstance(value, str) else value


def _offers(profile: HardwareProfile, sizes: Sizes) -> bool:
    offered = profile.properties()
    return all(
        name in offered and offered[name].allows(value) for name, value in sizes.given().items()
    )


def _specs(profile: HardwareProfile) -> dict[str, str]:
    return dict(profile.extra.get("extra_specs") or {})
