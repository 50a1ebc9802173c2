"""Things that a test made, to be taken down after it, whatever became of the test."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nimbi.driver.blobs import Blobs, Buckets
from nimbi.driver.compute import Instances
from nimbi.driver.network import Addresses, Routers
from nimbi.driver.operation import Collection
from nimbi.driver.storage import Volumes
from nimbi.drivertest.moves import comes_true, gone, made_destroyable
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, NotFound
from nimbi.model.resource import NewResource


@dataclass(frozen=True)
class Thing:
    interface: type[Collection]
    id: str

    def __str__(self) -> str:
        return f"{self.interface.name} {self.id!r}"


class Made:
    """Makes things and remembers them.

    `clear` takes them down, the youngest first. A thing that stays, and a new one that nobody told
    of, is an AssertionError: a cloud where tests run must have no other user.
    """

    def __init__(self, cloud: Cloud, patience_s: float) -> None:
        self._cloud = cloud
        self._patience_s = patience_s
        self._things: list[Thing] = []
        self._before: dict[type[Collection], frozenset[str]] = {}

    async def create(self, interface: type[Collection], wish: NewResource) -> Any:
        """Return what `create` of a collection makes."""
        await self.watch(interface)
        thing = await self._cloud.call(_of(interface, "create"), wish)
        self.track(interface, thing.id)
        return thing

    async def watch(self, interface: type[Collection]) -> None:
        """Look at what is there, so that `clear` can tell what is new."""
        if interface not in self._before and self._can(interface, "page", "destroy"):
            self._before[interface] = await self.listed(interface)

    def track(self, interface: type[Collection], id: str) -> None:
        """Remember a thing that was made in another way."""
        thing = Thing(interface, id)
        if thing not in self._things:
            self._things.append(thing)

    async def ready(self, interface: type[Collection], id: str) -> None:
        """Do what must be done before a thing can be destroyed: stop, detach, empty it."""
        if interface in MAKE_READY:
            await MAKE_READY[interface](self._cloud, id, self._patience_s)

    async def destroy(self, interface: type[Collection], id: str) -> None:
        """Make a thing ready, destroy it, and return when it is gone."""
        await self.ready(interface, id)
        await self._cloud.call(_of(interface, "destroy"), id)
        if self._can(interface, "get"):
            get = _of(interface, "get")
            await gone(lambda: self._cloud.call(get, id), self._patience_s)

    async def listed(self, interface: type[Collection]) -> frozenset[str]:
        """Return the ids of all things in a collection."""
        return frozenset([item.id async for item in self._cloud.each(_of(interface, "page"))])

    async def clear(self) -> None:
        """Destroy what was made. Raises AssertionError when something is left."""
        left = [t for t in reversed(self._things) if self._can(t.interface, "destroy")]
        self._things.clear()
        failures: dict[Thing, Exception] = {}
        # One thing may hold another, so those that cannot go yet get another turn.
        while left:
            failures = {t: error for t in left if (error := await self._taken_down(t))}
            if len(failures) == len(left):
                break
            left = list(failures)
        assert not failures, "left over: " + "; ".join(f"{t}: {e}" for t, e in failures.items())
        for interface in self._before:
            await self._clean(interface)
        self._before.clear()

    async def _clean(self, interface: type[Collection]) -> None:
        new: list[str] = []

        async def is_clean() -> bool:
            new[:] = sorted(await self.listed(interface) - self._before[interface])
            return not new

        # Lists may be late, but what nobody made on purpose does not go away by itself.
        try:
            await comes_true(is_clean, "", min(self._patience_s, 5.0))
        except AssertionError:
            raise AssertionError(f"left over in {interface.name}: {', '.join(new)}") from None

    async def _taken_down(self, thing: Thing) -> Exception | None:
        try:
            await self.destroy(thing.interface, thing.id)
        except NotFound:
            return None
        except (Conflict, AssertionError) as error:
            return error
        return None

    def _can(self, interface: type[Collection], *verbs: str) -> bool:
        return all(self._cloud.supports(_of(interface, verb)) for verb in verbs)


def _of(interface: type[Collection], verb: str) -> Callable[..., Awaitable[Any]]:
    operation: Callable[..., Awaitable[Any]] = getattr(interface, verb)
    return operation


async def _detached(cloud: Cloud, id: str, _patience_s: float) -> None:
    if cloud.supports(Volumes.detach):
        for attachment in (await cloud.call(Volumes.get, id)).attachments:
            await cloud.call(Volumes.detach, id, attachment.instance_id)


async def _freed(cloud: Cloud, id: str, _patience_s: float) -> None:
    if cloud.supports(Addresses.disassociate) and (await cloud.call(Addresses.get, id)).instance_id:
        await cloud.call(Addresses.disassociate, id)


async def _disconnected(cloud: Cloud, id: str, _patience_s: float) -> None:
    if cloud.supports(Routers.disconnect):
        for subnet_id in (await cloud.call(Routers.get, id)).subnet_ids:
            await cloud.call(Routers.disconnect, id, subnet_id)


async def _emptied(cloud: Cloud, id: str, _patience_s: float) -> None:
    if cloud.supports(Blobs.page) and cloud.supports(Blobs.destroy):
        for blob in [blob async for blob in cloud.each(Blobs.page, id)]:
            await cloud.call(Blobs.destroy, id, blob.id)


# What has to be done before some kinds of things can go.
MAKE_READY: dict[type[Collection], Callable[[Cloud, str, float], Awaitable[None]]] = {
    Instances: made_destroyable,
    Volumes: _detached,
    Addresses: _freed,
    Routers: _disconnected,
    Buckets: _emptied,
}
