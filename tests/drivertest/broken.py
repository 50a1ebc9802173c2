"""Drivers with one fault each, for tests of the suite to see; test_suite.py runs them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from nimbi import drivertest as conformance
from nimbi.driver.interface import Account, Driver
from nimbi.driver.operation import Collection
from nimbi.driver.states import StateMachine, Transition
from nimbi.driver.storage import Volumes
from nimbi.drivers.mock import DRIVER
from nimbi.drivers.mock.blobs import MockBlobs
from nimbi.drivers.mock.instances import STATES, MockInstances
from nimbi.drivers.mock.keys import MockKeys
from nimbi.drivers.mock.session import LOGIN
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import (
    Blob,
    BlobCondition,
    BlobContent,
    BlobFailure,
    BlobFilter,
    BlobPage,
    ByteRange,
    NewBlob,
)
from nimbi.model.errors import Conflict, Invalid, NotFound, Unauthorized
from nimbi.model.instances import InstanceState
from nimbi.model.keys import Key
from nimbi.model.page import Page
from nimbi.model.volumes import NewVolume, Volume, VolumeTarget


def driver_with(collection: type[Collection], **facts: Any) -> Driver[Any, Any]:
    """Return the mock driver with one collection in place of the sound one."""
    collections = tuple(
        collection if isinstance(sound, type) and issubclass(collection, sound) else sound
        for sound in DRIVER.collections
    )
    return replace(DRIVER, collections=collections, **facts)


class OnBroken:
    """Opens the cloud of the class's `driver`."""

    driver: Driver[Any, Any] = DRIVER
    patience_s = 0.05

    @pytest.fixture
    async def cloud(self, tmp_path: Path) -> AsyncIterator[Cloud]:
        async with conformance.opened(self.driver, tmp_path, credentials=LOGIN) as cloud:
            yield cloud


class Nameless(MockVolumes):
    async def create(self, new: NewVolume) -> Volume:
        return await super().create(changed(new, name=None))


class TestNameless(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Nameless)


class Slipping(MockVolumes):
    """The marker is of the item after the last one that was given."""

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        page = await super().page(marker, min(limit + 1, 1000))
        return Page(page.items[:limit], page.next)


class TestSlipping(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Slipping)


class Doubling(MockVolumes):
    """Each page but the first begins with the last item of the one before."""

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        page = await super().page(marker, limit)
        if marker is None:
            return page
        before = (await super().page(None, 1)).items
        return Page((*before, *page.items)[:limit], page.next)


class TestDoubling(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Doubling)


class Credulous(MockVolumes):
    """A marker is taken from anybody."""

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        try:
            return await super().page(marker, limit)
        except Invalid:
            return await super().page(None, limit)


class TestCredulous(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Credulous)


class Indestructible(MockVolumes):
    destroy = Volumes.destroy  # type: ignore[assignment]  # what a deleted method leaves


class TestIndestructible(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Indestructible)


class Lingering(MockVolumes):
    """Says that it destroys, and does not."""

    async def destroy(self, id: str) -> None:
        await self.get(id)


class TestLingering(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Lingering)


class Forgetful(MockVolumes):
    """Looks at no token."""

    async def create(self, new: NewVolume) -> Volume:
        return await super().create(changed(new, token=str(uuid.uuid4())))


class TestForgetful(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Forgetful)


class Racing(MockVolumes):
    """Looks for the token, and is away for a moment before it makes the volume."""

    known: dict[str, str]

    async def create(self, new: NewVolume) -> Volume:
        seen = self.session.cloud.__dict__.setdefault("seen_tokens", {})
        if new.token in seen:
            return await self.get(seen[new.token])
        await asyncio.sleep(0)
        made = await super().create(changed(new, token=str(uuid.uuid4())))
        seen[new.token] = made.id
        return made


class TestRacing(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Racing)


class Untyped(MockVolumes):
    """Gives sizes as text, as many clouds do, and times without their zone."""

    async def get(self, id: str) -> Volume:
        found = await super().get(id)
        naive = datetime.now(UTC).replace(tzinfo=None)
        return changed(found, size_gib=str(found.size_gib), created_at=naive)

    async def page(self, marker: str | None, limit: int) -> Page[Volume]:
        page = await super().page(marker, limit)
        return Page(tuple([await self.get(volume.id) for volume in page.items]), page.next)


class TestUntyped(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Untyped)


class Brittle(MockVolumes):
    """Has a word of its own for an id that it does not know."""

    async def get(self, id: str) -> Volume:
        try:
            return await super().get(id)
        except NotFound:
            raise KeyError(id) from None


class TestBrittle(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Brittle)


class OneSided(MockVolumes):
    """Detaches at the end of the volume only."""

    async def detach(self, id: str, instance_id: str | None = None) -> Volume:
        volume = await self.get(id)
        before = self.session.state.instances
        detached = await super().detach(id)
        with self.session.change() as state:
            state.instances = before
        return changed(detached, instance_id=None) if volume else detached


class TestOneSided(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(OneSided)


class Grabbing(MockVolumes):
    """Takes a volume away from one instance for another."""

    async def attach(self, id: str, target: VolumeTarget) -> Volume:
        if (await self.get(id)).instance_id is not None:
            await self.detach(id)
        return await super().attach(id, target)


class TestGrabbing(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Grabbing)


class Torn(MockBlobs):
    """Keeps what came when the sender went away."""

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        async def what_came() -> AsyncIterator[bytes]:
            try:
                async for chunk in chunks:
                    yield chunk
            except Exception:  # noqa: BLE001  the fault that is tested
                return

        return await super().write(changed(new, size_bytes=None), what_came())


class TestTorn(OnBroken, conformance.ConformsToBlobs):
    driver = driver_with(Torn)


class OffByOne(MockBlobs):
    """Takes the end of a range as excluded."""

    async def read(
        self,
        bucket_id: str,
        id: str,
        range: ByteRange | None = None,
        where: BlobCondition = BlobCondition(),
    ) -> BlobContent:
        if range is not None and range.last is not None and range.last > range.first:
            range = ByteRange(range.first, range.last - 1)
        return await super().read(bucket_id, id, range, where)


class TestOffByOne(OnBroken, conformance.ConformsToBlobs):
    driver = driver_with(OffByOne)


class Greedy(MockBlobs):
    """Reads a blob as one chunk."""

    async def read(
        self,
        bucket_id: str,
        id: str,
        range: ByteRange | None = None,
        where: BlobCondition = BlobCondition(),
    ) -> BlobContent:
        found = await super().read(bucket_id, id, range, where)

        async def whole() -> AsyncIterator[bytes]:
            yield b"".join([chunk async for chunk in found.chunks])

        return replace(found, chunks=whole())


class TestGreedy(OnBroken, conformance.ConformsToBlobs):
    driver = driver_with(Greedy)


class Unfiltered(MockBlobs):
    """Says that it honours a prefix, and lists all."""

    async def page(
        self, bucket_id: str, marker: str | None, limit: int, where: BlobFilter = BlobFilter()
    ) -> BlobPage:
        return await super().page(bucket_id, marker, limit, BlobFilter(delimiter=where.delimiter))


class TestUnfiltered(OnBroken, conformance.ConformsToBlobs):
    driver = driver_with(Unfiltered)


class Repeating(MockBlobs):
    """Tells a common prefix on each page that has blobs below it."""

    async def page(
        self, bucket_id: str, marker: str | None, limit: int, where: BlobFilter = BlobFilter()
    ) -> BlobPage:
        plain = await super().page(bucket_id, marker, limit, BlobFilter(prefix=where.prefix))
        if where.delimiter is None:
            return plain
        start = len(where.prefix or "")
        cuts = [(blob, *blob.id[start:].partition(where.delimiter)[:2]) for blob in plain.items]
        told = {blob.id[:start] + head + cut for blob, head, cut in cuts if cut}
        blobs = tuple(blob for blob, _, cut in cuts if not cut)
        return BlobPage(blobs, plain.next, tuple(sorted(told)))


class TestRepeating(OnBroken, conformance.ConformsToBlobs):
    driver = driver_with(Repeating)


class Hasty(MockBlobs):
    """Looks at the condition of a write before the content comes, and not again."""

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        present = await self.page(new.bucket_id, None, 1000)
        if new.only_new and new.id in {blob.id for blob in present.items}:
            raise Conflict("it is there")
        return await super().write(changed(new, only_new=None, only_over=None), chunks)


class TestHasty(OnBroken, conformance.ConformsToBlobs):
    driver = driver_with(Hasty)


class Talkative(MockKeys):
    """Shows the private part to everyone who asks for the key."""

    async def get(self, id: str) -> Key:
        return changed(await super().get(id), private_key="-----BEGIN PRIVATE KEY-----")


class TestTalkative(OnBroken, conformance.ConformsToKeys):
    driver = driver_with(Talkative)


# Says that a running instance may be destroyed, which the mock cloud forbids.
LIES = StateMachine(
    states=STATES.states,
    transitions=(
        *STATES.transitions,
        Transition(InstanceState.RUNNING, InstanceState.FINISH, "destroy"),
    ),
)


class Lying(MockInstances):
    pass


class TestLying(OnBroken, conformance.ConformsToInstances):
    driver = driver_with(Lying, instance_states=LIES)


class Inventive(MockInstances):
    """Has an operation and a feature that no interface knows, and takes one argument more."""

    features = MockInstances.features | {"free_lunch"}

    async def ex_migrate(self, id: str) -> None:
        raise NotImplementedError(id)

    async def console(self, id: str, lines: int = 10) -> bytes:
        return (await super().console(id))[-lines:]


class TestInventive(OnBroken, conformance.ConformsToDriver):
    driver = driver_with(Inventive)


def tell_all(cloud: Any, account: Account) -> AbstractAsyncContextManager[Any]:
    if account.credentials not in {None, LOGIN}:
        raise Unauthorized(f"the password {account.credentials.password!r} is wrong")
    return DRIVER.open(cloud, account)


class TestGossiping(OnBroken, conformance.ConformsToDriver):
    driver = replace(DRIVER, open=tell_all)


def admit_all(cloud: Any, _account: Account) -> AbstractAsyncContextManager[Any]:
    return DRIVER.open(cloud, Account(LOGIN))


class TestOpen(OnBroken, conformance.ConformsToDriver):
    driver = replace(DRIVER, open=admit_all)


class Sparing(MockBlobs):
    """Destroys only the first of many."""

    async def destroy_many(self, bucket_id: str, ids: tuple[str, ...]) -> tuple[BlobFailure, ...]:
        return await super().destroy_many(bucket_id, ids[:1])


class TestSparing(OnBroken, conformance.ConformsToBlobs):
    driver = driver_with(Sparing)


class TestSound(OnBroken, conformance.ConformsToVolumes):
    patience_s = 10.0
