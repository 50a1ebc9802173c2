"""Hardware profiles of Eucalyptus, which tells of its instance types in words of its own."""

from nimbi.driver.compute import HardwareProfiles
from nimbi.drivers.ec2.pages import sliced
from nimbi.drivers.ec2.query import extra, items, number, text
from nimbi.drivers.ec2.session import Element, OfSession, Session
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.hardware_profiles import Fixed, HardwareProfile, Sizes
from nimbi.model.page import Page

TYPES = "instanceTypeDetails/item"


class EucalyptusHardwareProfiles(OfSession, HardwareProfiles):
    """Instance types. An administrator may change their sizes at any time, so none is kept."""

    async def page(self, marker: str | None, limit: int) -> Page[HardwareProfile]:
        return sliced(await _all(self.session), marker, limit)

    async def get(self, id: str) -> HardwareProfile:
        return await _one(self.session, id)


async def profile_for(session: Session, id: str | None, sizes: Sizes) -> str:
    """Return the type that was asked for, or else the first that offers the sizes.

    Raises Invalid when there is none.
    """
    if id is not None:
        if sizes.given():
            (await _one(session, id)).check(sizes)
        return id
    for profile in await _all(session):
        if all(
            (rule := profile.properties().get(name)) is not None and rule.allows(value)
            for name, value in sizes.given().items()
        ):
            return profile.id
    raise Invalid("no hardware profile offers these sizes")


async def _one(session: Session, id: str) -> HardwareProfile:
    for profile in await _all(session):
        if profile.id == id:
            return profile
    raise NotFound(f"there is no hardware profile {id[:100]!r}")


async def _all(session: Session) -> list[HardwareProfile]:
    answer = await session.ec2("DescribeInstanceTypes")
    return [_told(each) for each in items(answer, TYPES)]


def _told(type: Element) -> HardwareProfile:
    name = text(type, "name") or ""
    return HardwareProfile(
        id=name,
        name=name,
        cpus=_fixed(type, "cpu"),
        memory_mib=_fixed(type, "memory"),
        storage_gib=_fixed(type, "disk"),
        architecture=Fixed("x86_64"),
        extra=extra(type),
    )


def _fixed(type: Element, path: str) -> Fixed | None:
    found = number(type, path)
    return None if found is None else Fixed(found)
