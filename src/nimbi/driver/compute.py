"""Interfaces of what runs machines: realms, hardware profiles, images, instances, keys, metrics."""

from collections.abc import AsyncIterator
from typing import ClassVar

from nimbi.driver.consoles import ConsoleStream
from nimbi.driver.operation import Collection, repeatable, safe
from nimbi.model.consoles import ConsoleKind, ConsoleLink
from nimbi.model.hardware_profiles import HardwareProfile, Sizes
from nimbi.model.images import Image, ImageContent, ImageFilter, NewImage, NewUpload
from nimbi.model.instances import Command, CommandResult, Instance, InstanceFilter, NewInstance
from nimbi.model.keys import Key, NewKey
from nimbi.model.metrics import Metric
from nimbi.model.page import Page
from nimbi.model.quotas import Quota
from nimbi.model.realms import Realm


class Realms(Collection):
    """Places within the cloud."""

    name: ClassVar[str] = "realms"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Realm]:
        """Return up to `limit` (1 to 1000) realms, in an order stable across pages.

        `marker` is the `next` of the page before. Raises Invalid for one it never gave. The same
        holds for `page` of every collection.
        """
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Realm:
        """Return one realm. Raises NotFound, as does `get` of every collection."""
        raise NotImplementedError


class HardwareProfiles(Collection):
    """Sizes of machines. A driver with a fixed list answers without a login."""

    name: ClassVar[str] = "hardware_profiles"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[HardwareProfile]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> HardwareProfile:
        raise NotImplementedError


class Images(Collection):
    """What instances are started from."""

    name: ClassVar[str] = "images"

    @safe
    async def page(
        self, marker: str | None, limit: int, where: ImageFilter = ImageFilter()
    ) -> Page[Image]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Image:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewImage) -> Image:
        """Return the image, perhaps still pending.

        Raises NotFound for an unknown instance, Conflict for one that cannot be imaged now.
        """
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove it. Raises NotFound when there is none, as does `destroy` of every collection."""
        raise NotImplementedError

    async def upload(self, new: NewUpload, chunks: AsyncIterator[bytes]) -> Image:
        """Return an image of these bytes, perhaps still pending. A torn upload leaves none.

        Raises Invalid for a format that the cloud does not know.
        """
        raise NotImplementedError

    @safe
    async def read(self, id: str) -> ImageContent:
        """Open an image. Raises Conflict for one that has no bytes yet."""
        raise NotImplementedError

    @repeatable
    async def share(self, id: str, project_id: str) -> Image:
        """Return the image, which another account may use too; one that may already stays so.

        A private image comes to be a shared one. Raises Conflict for one that everybody may use,
        Invalid for an account that can be none.
        """
        raise NotImplementedError

    @repeatable
    async def unshare(self, id: str, project_id: str) -> None:
        """Let another account use it no more. Raises NotFound when it was not shared with that."""
        raise NotImplementedError


class Instances(Collection):
    """Virtual machines. Calls return at once; the gateway waits for states."""

    name: ClassVar[str] = "instances"

    @safe
    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Instance:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewInstance) -> Instance:
        """Return the instance, perhaps still pending.

        Raises NotFound or Invalid for an unknown image, realm, profile, key or firewall, Invalid
        for sizes that the profile does not offer, OutOfCapacity, QuotaExceeded.
        """
        raise NotImplementedError

    @repeatable
    async def create_many(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        """Return `count` (1 to 100) instances of the same wish; all or none are made."""
        raise NotImplementedError

    async def start(self, id: str) -> None:
        """Start a stopped instance.

        Raises Conflict when its state forbids it, NotFound; so do the operations below.
        """
        raise NotImplementedError

    async def stop(self, id: str) -> None:
        """Stop a running instance, keeping its disk."""
        raise NotImplementedError

    async def reboot(self, id: str) -> None:
        """Restart the operating system of a running instance."""
        raise NotImplementedError

    async def pause(self, id: str) -> None:
        """Hold a running instance still, with all that is in its memory."""
        raise NotImplementedError

    async def resume(self, id: str) -> None:
        """Let a paused instance go on where it was held."""
        raise NotImplementedError

    @repeatable
    async def resize(self, id: str, sizes: Sizes) -> Instance:
        """Return a stopped instance with other CPUs or memory; a size that is None stays.

        It may come to have another hardware profile. Raises Invalid for sizes that the cloud does
        not offer, and for a size of disk, Conflict unless it is stopped, OutOfCapacity.
        """
        raise NotImplementedError

    async def rebuild(self, id: str, image_id: str) -> Instance:
        """Return the instance with its disk made anew of an image, perhaps still pending.

        It keeps its id, addresses and volumes. Raises NotFound or Invalid for an unknown image.
        """
        raise NotImplementedError

    async def rescue(self, id: str) -> None:
        """Boot another system beside the instance's own disk, so that it can be mended.

        It is RUNNING then, and `rescued`; only `unrescue` is sure to be possible.
        """
        raise NotImplementedError

    async def unrescue(self, id: str) -> None:
        """Boot a rescued instance from its own disk again. Raises Conflict for any other."""
        raise NotImplementedError

    async def shelve(self, id: str) -> None:
        """Stop an instance and give up its place, keeping its disk, addresses and volumes.

        It is STOPPED then, and `shelved`; only `unshelve` is sure to be possible.
        """
        raise NotImplementedError

    async def unshelve(self, id: str) -> None:
        """Find a place for a shelved instance and start it. Raises Conflict for any other.

        Raises OutOfCapacity when there is no place.
        """
        raise NotImplementedError

    async def lock(self, id: str) -> None:
        """Refuse what else would change it, as a Conflict; one that is locked stays so."""
        raise NotImplementedError

    async def unlock(self, id: str) -> None:
        """Allow changes again; one that is not locked stays so."""
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        """Remove an instance with its disk; its volumes are detached and stay."""
        raise NotImplementedError

    async def run(self, id: str, command: Command) -> CommandResult:
        """Run a shell command on a running instance over ssh and wait for its end."""
        raise NotImplementedError

    @safe
    async def console(self, id: str) -> bytes:
        """Return the end of what the instance wrote to its console, at most 64 KiB."""
        raise NotImplementedError

    @safe
    async def screenshot(self, id: str) -> bytes:
        """Return what the instance shows on its screen now, as PNG.

        Raises Conflict when it has none, since it neither runs nor is paused.
        """
        raise NotImplementedError

    @safe
    async def console_link(self, id: str) -> ConsoleLink:
        """Return a URL at which the cloud itself shows the screen of a running instance.

        Whoever has it may do all that somebody before the machine may. Raises Conflict when the
        instance does not run.
        """
        raise NotImplementedError

    async def open_console(self, id: str, kind: ConsoleKind) -> ConsoleStream:
        """Open a console of a running, paused or booting instance; the caller closes it.

        Whoever has it may do all that somebody before the machine may. Raises Conflict when the
        instance does not run, or its one place before that console is taken.
        """
        raise NotImplementedError


class Keys(Collection):
    """Key pairs and other logins."""

    name: ClassVar[str] = "keys"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Key]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Key:
        raise NotImplementedError

    @repeatable
    async def create(self, new: NewKey) -> Key:
        """Return the key, with its private part unless it was imported.

        Raises Conflict when the name is in use, Invalid for a public key that is none.
        """
        raise NotImplementedError

    @repeatable
    async def destroy(self, id: str) -> None:
        raise NotImplementedError


class Metrics(Collection):
    """What was measured; a metric's id is that of the instance."""

    name: ClassVar[str] = "metrics"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Metric]:
        """Return what can be measured of which instances; the series have no samples."""
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Metric:
        raise NotImplementedError


class Quotas(Collection):
    """How much of everything the account may have."""

    name: ClassVar[str] = "quotas"

    @safe
    async def page(self, marker: str | None, limit: int) -> Page[Quota]:
        raise NotImplementedError

    @safe
    async def get(self, id: str) -> Quota:
        raise NotImplementedError
