"""Hardware profiles: instance types, which are the same for everybody in a region."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from nimbi.driver.compute import HardwareProfiles
from nimbi.drivers.ec2.pages import sliced
from nimbi.drivers.ec2.query import items, number, text, truth
from nimbi.drivers.ec2.session import Element, OfSession, Session
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.hardware_profiles import Enum, Fixed, HardwareProfile, Property, Sizes
from nimbi.model.page import Page

# DescribeInstanceTypes takes 5 to 100 as MaxResults.
PAGE = 100

# AWS adds a type every few days, and takes none away.
AGE_S = 6 * 3600.0

# Whoever takes the first one, or none, gets a small machine that boots every usual image. An
# account that has lost one of them, or a stand-in that never had it, has another of these.
FIRST = ("t3.micro", "t3.small", "t3a.micro", "t2.micro", "m1.small")

ARCHITECTURES = ("x86_64", "arm64")
BYTES_PER_GB, BYTES_PER_GIB = 10**9, 2**30


@dataclass(frozen=True)
class Profiles:
    """All types of a region in their order, and when they were asked for."""

    by_id: Mapping[str, HardwareProfile]
    fetched_at: datetime

    def get(self, id: str) -> HardwareProfile:
        """Return one. Raises NotFound."""
        if id in self.by_id:
            return self.by_id[id]
        raise NotFound(f"there is no hardware profile {id[:100]!r} in this region")

    def default(self, architecture: str | None) -> HardwareProfile:
        """Return the first one for an architecture. Raises Invalid when no type is made for it."""
        for profile in self.by_id.values():
            if architecture is None or made_for(profile, architecture):
                return profile
        raise Invalid(f"this region has no hardware profile for {architecture}")

    def resized(self, id: str, sizes: Sizes) -> HardwareProfile:
        """Return the type that differs from another only in `sizes`, of the same family if it can.

        Raises Invalid when there is none.
        """
        now = self.get(id)
        if not _changes(now, sizes):
            return now
        cpus = now.cpus if sizes.cpus is None else Fixed(sizes.cpus)
        memory = now.memory_mib if sizes.memory_mib is None else Fixed(sizes.memory_mib)
        fitting = [
            profile
            for profile in self.by_id.values()
            if (profile.cpus, profile.memory_mib) == (cpus, memory)
            and profile.architecture == now.architecture
            and (sizes.architecture is None or made_for(profile, sizes.architecture))
            and profile.gpus == now.gpus
            and sizes.storage_gib is None
        ]
        if not fitting:
            raise Invalid(f"no hardware profile like {id!r} has these sizes")
        return min(fitting, key=lambda profile: _family(profile.id) != _family(id))


class Ec2HardwareProfiles(OfSession, HardwareProfiles):
    """Instance types, a small usual one first. `extra` tells when the cloud was asked for them."""

    async def page(self, marker: str | None, limit: int) -> Page[HardwareProfile]:
        return sliced((await profiles_of(self.session)).by_id.values(), marker, limit)

    async def get(self, id: str) -> HardwareProfile:
        return (await profiles_of(self.session)).get(id)


async def profiles_of(session: Session) -> Profiles:
    """Return all types of the session's region, at most AGE_S old."""

    async def fetch() -> Profiles:
        return await _fetched(session)

    # A type is the same for all who may use the region, whoever has asked for it first.
    key = ("instance-types", session.endpoints.urls["ec2"], session.region)
    return await session.backend.cached(key, AGE_S, fetch)


async def _fetched(session: Session) -> Profiles:
    now = datetime.now(UTC)
    found: list[HardwareProfile] = []
    token: str | None = None
    while True:
        asked = {"MaxResults": PAGE, "NextToken": token}
        root = await session.ec2("DescribeInstanceTypes", asked)
        for count, item in enumerate(items(root, "instanceTypeSet/item")):
            found.append(_profile(item, now))
            if count % PAGE == PAGE - 1:
                # A stand-in may tell of all types on one page: let others come between.
                await asyncio.sleep(0)
        token = text(root, "nextToken")
        if token is None:
            return Profiles({profile.id: profile for profile in sorted(found, key=_rank)}, now)


def made_for(profile: HardwareProfile, architecture: str) -> bool:
    """Whether machines of a profile run programs of an architecture."""
    return profile.architecture is None or profile.architecture.allows(architecture)


def _profile(item: Element, now: datetime) -> HardwareProfile:
    """Read an InstanceTypeInfo.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html
    """
    id = text(item, "instanceType") or ""
    roots = [root.text for root in items(item, "supportedRootDeviceTypes/item")]
    storage_gb = number(item, "instanceStorageInfo/totalSizeInGB")
    return HardwareProfile(
        id=id,
        name=id,
        cpus=_fixed(number(item, "vCpuInfo/defaultVCpus")),
        memory_mib=_fixed(number(item, "memoryInfo/sizeInMiB")),
        storage_gib=_fixed(storage_gb and round(storage_gb * BYTES_PER_GB / BYTES_PER_GIB, 1)),
        architecture=_architecture(
            [a.text or "" for a in items(item, "processorInfo/supportedArchitectures/item")]
        ),
        root_type=Fixed("persistent" if "ebs" in roots else "transient") if roots else None,
        gpus=_fixed(sum(number(gpu, "count") or 0 for gpu in items(item, "gpuInfo/gpus/item"))),
        extra=MappingProxyType(_extra(item, now)),
    )


def _extra(item: Element, now: datetime) -> dict[str, object]:
    gpus = items(item, "gpuInfo/gpus/item")
    return {
        "fetched_at": now.isoformat(),
        "current_generation": truth(item, "currentGeneration"),
        "free_tier_eligible": truth(item, "freeTierEligible"),
        "bare_metal": truth(item, "bareMetal"),
        "burstable": truth(item, "burstablePerformanceSupported"),
        "network_performance": text(item, "networkInfo/networkPerformance"),
        "gpus": [f"{text(gpu, 'manufacturer')} {text(gpu, 'name')}" for gpu in gpus],
    }


def _fixed(value: float | None) -> Fixed | None:
    return Fixed(value) if value else None


def _architecture(names: Sequence[str]) -> Property | None:
    if not names:
        return None
    usual = next((name for name in ARCHITECTURES if name in names), names[0])
    return Fixed(usual) if len(names) == 1 else Enum(tuple(names), usual)


def _rank(profile: HardwareProfile) -> tuple[object, ...]:
    """Order types: the usual ones, then current before old ones, then by family and size."""
    first = FIRST.index(profile.id) if profile.id in FIRST else len(FIRST)
    usual = profile.architecture.default if profile.architecture else ""
    return (
        first,
        not profile.extra["current_generation"],
        ARCHITECTURES.index(usual) if usual in ARCHITECTURES else len(ARCHITECTURES),
        bool(profile.extra["bare_metal"]),
        profile.gpus is not None,
        _family(profile.id),
        profile.memory_mib.default if profile.memory_mib else 0,
        profile.id,
    )


def _family(id: str) -> str:
    return id.partition(".")[0]


def _changes(now: HardwareProfile, sizes: Sizes) -> bool:
    offered = now.properties()
    return any(
        name not in offered or not offered[name].allows(value)
        for name, value in sizes.given().items()
    )
