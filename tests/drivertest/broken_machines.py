"""More drivers with a fault: of images, instances and what serves them."""

from collections.abc import AsyncIterator

from msgspec.structs import replace as changed
from tests.drivertest.broken import OnBroken, driver_with

from nimbi import drivertest as conformance
from nimbi.drivers.mock.images import MockImages
from nimbi.drivers.mock.instances import MockInstances
from nimbi.drivers.mock.quotas import MockQuotas
from nimbi.drivers.mock.routers import MockRouters
from nimbi.drivers.mock.volumes import MockVolumes
from nimbi.model.consoles import ConsoleLink
from nimbi.model.images import Image, ImageContent, ImageFilter, NewUpload
from nimbi.model.instances import Instance, InstanceFilter, NewInstance
from nimbi.model.page import Page
from nimbi.model.quotas import Quota
from nimbi.model.routers import NewRouter, Router
from nimbi.model.volumes import NewVolume, Volume


class Careless(MockImages):
    """Keeps what came of an image, of whatever size, and shares with nobody."""

    async def upload(self, new: NewUpload, chunks: AsyncIterator[bytes]) -> Image:
        async def what_came() -> AsyncIterator[bytes]:
            try:
                async for chunk in chunks:
                    yield chunk
            except Exception:  # noqa: BLE001  the fault that is tested
                return

        return await super().upload(changed(new, size_bytes=None, token=None), what_came())

    async def read(self, id: str) -> ImageContent:
        content = await super().read(id)
        return ImageContent(size_bytes=content.size_bytes, chunks=backwards(content.chunks))

    async def share(self, id: str, project_id: str) -> Image:
        return await self.get(id)

    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        return await super().page(marker, limit)


async def backwards(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk[::-1]


class TestCareless(OnBroken, conformance.ConformsToImages):
    driver = driver_with(Careless)


class Idle(MockInstances):
    """Says yes to much and does nothing."""

    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        return await super().page(marker, limit)

    async def create(self, new: NewInstance) -> Instance:
        return await super().create(
            changed(new, network_ids=(), network_interface_ids=(), fixed_address=None, volumes=())
        )

    async def rebuild(self, id: str, image_id: str) -> Instance:
        return await self.get(id)

    async def rescue(self, id: str) -> None:
        await self.get(id)

    async def shelve(self, id: str) -> None:
        await self.get(id)

    async def lock(self, id: str) -> None:
        await self.get(id)

    async def console_link(self, id: str) -> ConsoleLink:
        return ConsoleLink(url="nowhere", protocol="")


class TestIdle(OnBroken, conformance.ConformsToInstances):
    driver = driver_with(Idle)


class Selfish(MockVolumes):
    """Shares no volume, retypes none, detaches from anywhere."""

    async def create(self, new: NewVolume) -> Volume:
        return await super().create(changed(new, shared=None, image_id=None))

    async def detach(self, id: str, instance_id: str | None = None) -> Volume:
        return await super().detach(id)

    async def retype(self, id: str, kind: str) -> Volume:
        return await self.get(id)


class TestSelfish(OnBroken, conformance.ConformsToVolumes):
    driver = driver_with(Selfish)
    volume_kind = "flash"


class Loose(MockRouters):
    """Connects nothing."""

    async def create(self, new: NewRouter) -> Router:
        return await super().create(changed(new, external_network_id=None))

    async def connect(self, id: str, subnet_id: str) -> Router:
        return await self.get(id)


class TestLoose(OnBroken, conformance.ConformsToRouters):
    driver = driver_with(Loose)


class Uncounting(MockQuotas):
    """Tells the same whatever is there."""

    async def get(self, id: str) -> Quota:
        return changed(await super().get(id), used=3)


class TestUncounting(OnBroken, conformance.ConformsToQuotas):
    driver = driver_with(Uncounting)
