"""Snapshots of EBS volumes. Lists hold the login's own; any other is found by its id."""

from collections.abc import Sequence

from nimbi.driver.storage import Snapshots
from nimbi.drivers.ec2.ids import known
from nimbi.drivers.ec2.pages import paged
from nimbi.drivers.ec2.query import extra, filters, items, number, tags, text, truth, when
from nimbi.drivers.ec2.session import Element, OfSession
from nimbi.drivers.ec2.tags import NAME, by_token, checked, specification
from nimbi.drivers.ec2.wishes import once
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.page import Page
from nimbi.model.snapshots import NewSnapshot, Snapshot, SnapshotState

# Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Snapshot.html
# `recovering` and `recoverable` are of snapshots in the recycle bin.
STATES = {
    "pending": SnapshotState.PENDING,
    "recovering": SnapshotState.PENDING,
    "completed": SnapshotState.COMPLETED,
}
SNAPSHOTS = "snapshotSet/item"
UNKNOWN = frozenset({"InvalidSnapshot.NotFound"})
UNKNOWN_VOLUME = frozenset({"InvalidVolume.NotFound"})

# What AWS tells of a snapshot that was copied or registered: it is the id of no volume.
NO_VOLUME = "vol-ffffffff"

LONGEST_DESCRIPTION = 255


class Ec2Snapshots(OfSession, Snapshots):
    """Snapshots, named by their tag `Name`."""

    async def page(self, marker: str | None, limit: int) -> Page[Snapshot]:
        async def fetch(token: str | None, size: int) -> tuple[Sequence[Snapshot], str | None]:
            # Without an owner, AWS lists the tens of thousands that are public, too.
            asked = {"Owner": ["self"], "MaxResults": size, "NextToken": token}
            answer = await self.session.ec2("DescribeSnapshots", asked)
            return [told(each) for each in items(answer, SNAPSHOTS)], text(answer, "nextToken")

        return await paged(fetch, marker, limit)

    async def get(self, id: str) -> Snapshot:
        asked = {"SnapshotId": [known(id, "snapshot")]}
        answer = await self.session.settled(
            lambda: self.session.ec2("DescribeSnapshots", asked), codes=UNKNOWN, ids=(id,)
        )
        for snapshot in items(answer, SNAPSHOTS):
            return told(snapshot)
        raise NotFound(f"there is no snapshot {id!r}")

    async def create(self, new: NewSnapshot) -> Snapshot:
        if new.name == "":
            raise Invalid("the name of a snapshot is empty")
        volume_id = known(new.volume_id, "volume")
        wish = {
            "VolumeId": volume_id,
            "Description": _description(new.description),
            "TagSpecification": specification("snapshot", new.token, new.name),
        }

        async def find() -> Snapshot | None:
            asked = {"Owner": ["self"], "Filter": filters(by_token(new.token))}
            answer = await self.session.ec2("DescribeSnapshots", asked)
            return next((told(each) for each in items(answer, SNAPSHOTS)), None)

        async def make() -> Snapshot:
            answer = await self.session.settled(
                lambda: self.session.ec2("CreateSnapshot", wish, changes=True),
                codes=UNKNOWN_VOLUME,
                ids=(volume_id,),
            )
            made = told(answer)
            self.session.fresh(made.id)
            return made

        return await once(self.session, "snapshot", new.token, find, make)

    async def destroy(self, id: str) -> None:
        asked = {"SnapshotId": known(id, "snapshot")}
        await self.session.settled(
            lambda: self.session.ec2("DeleteSnapshot", asked, changes=True),
            codes=UNKNOWN,
            ids=(id,),
        )


def told(snapshot: Element) -> Snapshot:
    """Return the snapshot that an element of DescribeSnapshots tells of."""
    volume_id = text(snapshot, "volumeId")
    return Snapshot(
        id=text(snapshot, "snapshotId") or "",
        name=tags(snapshot).get(NAME),
        description=text(snapshot, "description"),
        state=STATES.get(text(snapshot, "status") or "", SnapshotState.ERROR),
        volume_id=None if volume_id == NO_VOLUME else volume_id,
        created_at=when(snapshot, "startTime"),
        size_gib=number(snapshot, "volumeSize"),
        encrypted=truth(snapshot, "encrypted"),
        extra=extra(snapshot),
    )


def _description(description: str | None) -> str | None:
    if description is None:
        return None
    return checked(description, "the description of a snapshot", LONGEST_DESCRIPTION)
