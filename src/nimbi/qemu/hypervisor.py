"""The machine's guests, images and keys, as one asyncio API."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from nimbi.qemu.balancers.service import LoadBalancers
from nimbi.qemu.disks.snapshots import SnapshotStore
from nimbi.qemu.disks.volumes import VolumeStore
from nimbi.qemu.errors import Conflict, Invalid, NotFound, QemuError, TimedOut
from nimbi.qemu.guests import console_log, consoles, power, screens, ssh
from nimbi.qemu.guests.keys import KeyStore
from nimbi.qemu.guests.measuring import Measured, Meter
from nimbi.qemu.guests.parts import Part
from nimbi.qemu.guests.record import QMP, Guest, Record, State, Wanted, lives, now, view
from nimbi.qemu.guests.seed import Seed
from nimbi.qemu.guests.spec import MAX_TOKEN, SSH, GuestSpec, check, check_sizes, host_name
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.guests.supervision import FULL, Supervisor
from nimbi.qemu.guests.worker import Worker, duty
from nimbi.qemu.host.capacity import has_room
from nimbi.qemu.host.engine import InstalledEngine
from nimbi.qemu.host.execution import Outcome
from nimbi.qemu.host.files import private_directory
from nimbi.qemu.host.process import kill
from nimbi.qemu.host.programs import require
from nimbi.qemu.images.builders import debian_image, demo_image
from nimbi.qemu.images.builders.kernel import Progress
from nimbi.qemu.images.imaging import Imaging
from nimbi.qemu.images.imports import Order, import_image
from nimbi.qemu.images.store import Image, ImageStore
from nimbi.qemu.network.network import Network
from nimbi.qemu.options import Options
from nimbi.qemu.state import layout

STOP_S = 30.0
HOUSEKEEPING_EVERY_S = 5.0
LOOK_EVERY_S = 0.05
NEEDED = ("qemu-system-x86_64", "qemu-img")

log = logging.getLogger("nimbi.qemu")


@asynccontextmanager
async def open_hypervisor(root: Path, options: Options = Options()) -> AsyncGenerator["Hypervisor"]:
    """Open the guests below `root`, and mend what a killed process has left half done.

    Several processes may have the same root open. Closing leaves all guests as they are. Raises
    Unusable for a root that is somebody else's, or was written by a newer program.
    """
    await layout.prepare(root)
    hypervisor = Hypervisor(root, options)
    await hypervisor.open()
    try:
        yield hypervisor
    finally:
        await hypervisor.close()


class Hypervisor:
    """Guests of one root directory, which holds all that is known about them.

    The calls that change a guest return once the wish is on disk; `wait` tells when it is true.
    """

    def __init__(self, root: Path, options: Options = Options()) -> None:
        """Use `root`, made with mode 0700 when it does not exist."""
        self.root = private_directory(root.absolute())
        self.options = options
        self.keys = KeyStore(self.root / "keys")
        self._images = ImageStore(self.root / "images")
        self._guests = GuestStore(self.root)
        self._engine = InstalledEngine()
        self._imaging = Imaging(self.root, self._guests, self._images)
        self.volumes = VolumeStore(self.root, self._guests)
        self.snapshots = SnapshotStore(self.root, self._guests)
        self.network = Network(self.root, self._guests, options)
        self.balancers = LoadBalancers(self.network, self._guests)
        self._parts: tuple[Part, ...] = (self.network, self.volumes)
        self._meter = Meter(self._guests)
        self.supervisor = Supervisor(self._guests, self._ended)
        self._worker = Worker(
            self.root, self._engine, self._guests, self._images, self._parts, self.supervisor
        )
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Clean up after killed processes and go on where they stopped."""
        await asyncio.to_thread(self._images.clean)
        await self._guests.clean()
        await self.volumes.open()
        await self.snapshots.open()
        await self._imaging.open()
        await self.network.open()
        self._spawn(self._keep_house())

    async def close(self) -> None:
        """Let go of all guests, which run on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._imaging.close()
        await self.snapshots.close()
        await self.network.close()
        await self.supervisor.close()

    async def _ended(self, id: str) -> None:
        await self._worker.ended(id)

    async def images(self) -> list[Image]:
        """Return all images, the oldest first."""
        return await asyncio.to_thread(self._images.all)

    async def build_demo_image(self, progress: Progress = lambda step, share: None) -> Image:
        """Return the demo image, built first when it is not there; see `demo_image.build`."""
        return await demo_image.build(self._images, self.root, progress)

    async def build_debian_image(self, progress: Progress = lambda step, share: None) -> Image:
        """Return the Debian image, built first when it is not there; see `debian_image.build`."""
        return await debian_image.build(self._images, self.root, progress)

    async def import_image(
        self, order: Order, progress: Progress = lambda step, share: None
    ) -> Image:
        """Return the image of a disk image of somebody else; see `imports.import_image`."""
        return await import_image(self._images, self.root, order, progress)

    async def create_image(
        self,
        guest_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        token: str | None = None,
    ) -> Image:
        """Return a new image of a guest's root disk, perhaps pending; see `Imaging.create`."""
        return await self._imaging.create(guest_id, name=name, description=description, token=token)

    def check_programs(self) -> None:
        """Raise Missing, with the packages that bring them, when guests can't be made here."""
        require(NEEDED)

    async def image(self, id: str) -> Image:
        """Return one image. Raises NotFound."""
        return await asyncio.to_thread(self._images.get, id)

    async def remove_image(self, id: str) -> None:
        """Remove an image; one in the making is given up.

        Raises NotFound, and Conflict, naming them, while guests have disks on top of it.
        """
        async with self._guests.admission():
            await asyncio.to_thread(self._remove_image, id)

    def _remove_image(self, id: str) -> None:
        users = [record.id for record in self._guests.all() if record.image_id == id]
        if users:
            raise Conflict(f"the image {id} is needed by: {', '.join(users)}")
        self._images.remove(id)

    async def guests(self) -> list[Guest]:
        """Return all guests as they are now, the oldest first."""
        return await asyncio.to_thread(self._views)

    def _views(self) -> list[Guest]:
        return [view(self._guests.directory(r.id), r) for r in self._guests.all()]

    async def guest(self, id: str) -> Guest:
        """Return one guest as it is now. Raises NotFound."""
        return await asyncio.to_thread(self._view, id)

    def _view(self, id: str) -> Guest:
        return view(self._guests.directory(id), self._record(id))

    def _record(self, id: str) -> Record:
        record = self._guests.find(id)
        if record is None:
            raise NotFound(f"there is no guest {id!r}")
        return record

    async def create(self, spec: GuestSpec) -> Guest:
        """Return a new guest, pending; it boots meanwhile.

        With a token the call may be repeated: the guest of that token is returned, whatever has
        become of it. Raises Invalid, Capacity, Missing, NotFound for the image, and Conflict when
        the token was used for another spec.
        """
        check(spec)
        id = guest_id(spec.token)
        async with self._guests.creating(id):
            record = self._guests.find(id)
            if record is None:
                record = await self._create(id, spec)
            elif record.spec_digest != spec.digest():
                raise Conflict("the token was used before, for another guest")
        return self._put_to_work(record)

    async def _create(self, id: str, spec: GuestSpec) -> Record:
        self.check_programs()
        image = await asyncio.to_thread(self._images.usable, spec.image_id)
        image.check(spec)
        record = Record(
            id=id,
            name=spec.name,
            image_id=image.id,
            cpus=spec.cpus,
            memory_mib=spec.memory_mib,
            disk_gib=spec.disk_gib,
            host_name=host_name(spec, id),
            ports=dict.fromkeys(spec.ports, 0),
            outgoing=spec.outgoing,
            labels=dict(spec.labels),
            spec_digest=spec.digest(),
            machine=(await self._engine.get()).machine,
            created_at=now(),
            boot=spec.boot or image.boot,
            says_ready=image.says_ready,
        )
        held = Seed(
            instance_id=id,
            host_name=record.host_name,
            public_keys=spec.public_keys,
            user_data=spec.user_data,
            user_files=spec.user_files,
            password=spec.password,
        )
        await self._guests.check_room(record)
        await self.network.join(id, spec.firewall_ids)
        try:
            return await self._guests.add(record, held)
        except BaseException:
            await self.network.forget(id)
            raise

    async def start(self, id: str) -> Guest:
        """Start a stopped or failed guest. One that runs or is about to is left as it is.

        Raises NotFound, Conflict while it is stopping, Capacity.
        """

        def step(record: Record) -> Record:
            if record.wanted is Wanted.STOPPED and lives(record):
                raise Conflict(f"guest {id} is stopping")
            if lives(record) or (record.process is None and _wanted_to_run(record)):
                return record
            return replace(record, wanted=Wanted.RUNNING, process=None, error=None, ready=False)

        return self._put_to_work(await self._guests.admit_again(id, step))

    async def stop(self, id: str, within_s: float = STOP_S) -> Guest:
        """Stop a guest: by its power button, and after `within_s` by ending it.

        What the guest has flushed to its disk is never lost. A stopped guest is left as it is.
        Raises NotFound.
        """
        stop_by = now() + timedelta(seconds=within_s)

        def step(record: Record) -> Record:
            if record.wanted is Wanted.STOPPED:
                return record
            return replace(
                record, wanted=Wanted.STOPPED, stop_by=stop_by, rebooting=False, error=None
            )

        return self._put_to_work(await self._guests.change(id, step))

    async def reboot(self, id: str) -> Guest:
        """Halt a guest by its power button, or reset it when it does not, and boot it again.

        Its QEMU and its ports stay. Raises NotFound, and Conflict when it does not run.
        """

        def step(record: Record) -> Record:
            if record.wanted is not Wanted.RUNNING or not lives(record) or record.paused:
                raise Conflict(f"guest {id} does not run")
            return replace(record, rebooting=True, ready=False)

        return self._put_to_work(await self._guests.change(id, step))

    async def pause(self, id: str) -> Guest:
        """Halt a running guest's processors. A paused one is left as it is.

        Raises NotFound, and Conflict when it does not run.
        """
        return await self._halt_or_go(id, State.RUNNING, State.PAUSED, power.pause)

    async def resume(self, id: str) -> Guest:
        """Let a paused guest run on. A running one is left as it is.

        Raises NotFound, and Conflict when it is not paused.
        """
        return await self._halt_or_go(id, State.PAUSED, State.RUNNING, power.resume)

    async def _halt_or_go(
        self, id: str, before: State, after: State, act: Callable[[Path], Awaitable[None]]
    ) -> Guest:
        guest = await self.guest(id)
        if guest.state is after:
            return guest
        if guest.state is not before:
            raise Conflict(f"guest {id} is {guest.state}, not {before}")
        await act(self._guests.directory(id) / QMP)
        changed = await self.supervisor.follow(id)
        self.supervisor.tell()
        return view(self._guests.directory(id), changed)

    async def resize(
        self,
        id: str,
        *,
        cpus: int | None = None,
        memory_mib: int | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Guest:
        """Give a stopped guest other processors or memory, from its next start on.

        `labels` are added to its own. Raises NotFound, Conflict while it runs or boots, Invalid,
        Capacity.
        """
        check_sizes(cpus, memory_mib)

        def step(record: Record) -> Record:
            at_rest = record.wanted is Wanted.STOPPED or record.error is not None
            if lives(record) or not (at_rest or _fell_over(record)):
                raise Conflict(f"guest {id} must be stopped to be resized")
            return replace(
                record,
                cpus=record.cpus if cpus is None else cpus,
                memory_mib=record.memory_mib if memory_mib is None else memory_mib,
                labels={**record.labels, **(labels or {})},
            )

        record = await self._guests.admit_again(id, step)
        return view(self._guests.directory(id), record)

    async def destroy(self, id: str) -> None:
        """End a guest and remove all that is left of it, also while it boots. Raises NotFound."""
        record = await self._guests.condemn(id)
        if record.process:
            await asyncio.to_thread(kill, record.process)
        await self._worker.settle_gone(id)

    async def console(self, id: str, limit: int = console_log.LIMIT) -> bytes:
        """Return the last `limit` bytes of what the guest has printed, over all its boots."""
        await asyncio.to_thread(self._record, id)
        return await asyncio.to_thread(console_log.tail, self._guests.directory(id), limit)

    async def screenshot(self, id: str) -> bytes:
        """Return the guest's screen as PNG. Raises NotFound, Conflict when it does not run."""
        return await screens.screenshot(await asyncio.to_thread(self._living, id))

    async def open_console(self, id: str, kind: consoles.Kind) -> consoles.Console:
        """Open the guest's screen or serial line; whoever has it may do all in the guest.

        Raises NotFound, Conflict when it does not run or somebody is at its serial line.
        """
        directory = await asyncio.to_thread(self._living, id)
        if kind is consoles.Kind.SERIAL:
            return await consoles.open_serial(directory)
        return await consoles.open_screen(directory)

    async def measured(self, id: str) -> list[Measured]:
        """Return what the guest has used of this machine, at up to 60 times, oldest first.

        While it runs the last one is of this moment. Raises NotFound.
        """
        return await self._meter.measured(await asyncio.to_thread(self._record, id))

    def _living(self, id: str) -> Path:
        """Return where a guest lives whose QEMU runs. Raises NotFound, Conflict."""
        if not lives(self._record(id)):
            raise Conflict(f"guest {id} does not run")
        return self._guests.directory(id)

    async def run(
        self,
        id: str,
        command: str,
        private_key: str,
        *,
        user: str = "root",
        within_s: float = 60,
    ) -> Outcome:
        """Run a shell command in a guest over ssh, with its host key checked.

        Raises NotFound, Conflict when the guest does not run or publishes no ssh, TimedOut,
        and Failed when the login fails.
        """
        guest = await self.guest(id)
        if guest.state is not State.RUNNING or SSH not in guest.ports:
            raise Conflict(f"guest {id} is {guest.state}, or does not publish port {SSH}")
        said = await asyncio.to_thread(console_log.whole, self._guests.directory(id))
        place = ssh.Place(
            address=guest.address, port=guest.ports[SSH], user=user, host_keys=ssh.host_keys(said)
        )
        return await ssh.run(place, command, private_key, within_s=within_s)

    async def wait(self, id: str, states: frozenset[State], within_s: float) -> Guest:
        """Return the guest once it is in one of `states`. Raises TimedOut, NotFound."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while True:
            news = self.supervisor.news
            guest = await self.guest(id)
            if guest.state in states:
                return guest
            if loop.time() >= end:
                raise TimedOut(f"guest {id} is still {guest.state} after {within_s:g} s")
            # Other servers' work is not told here, so it is looked for too.
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_EVERY_S)

    def _put_to_work(self, record: Record) -> Guest:
        self._spawn(self._settle(record.id))
        return view(self._guests.directory(record.id), record)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, id: str) -> None:
        try:
            await self._worker.settle(id)
        except Exception:
            log.exception("work on guest %s failed", id)

    async def _go_on(self, id: str) -> None:
        with suppress(QemuError):
            await self.resume(id)

    async def _keep_house(self) -> None:
        """Take up what nobody works on any more, at once and then again and again."""
        at_work: dict[str, asyncio.Task[None]] = {}
        while True:
            records = await asyncio.to_thread(self._guests.all)
            for record in records:
                self.supervisor.watch(record)
                if record.paused and record.trouble == FULL and has_room(self.root):
                    self._spawn(self._go_on(record.id))
                if duty(record) and (record.id not in at_work or at_work[record.id].done()):
                    at_work[record.id] = asyncio.create_task(self._settle(record.id))
            # A QEMU that does not answer holds up nothing else.
            self._spawn(self._meter.keep_up(records))
            await asyncio.to_thread(console_log.trim_all, self._guests, records)
            for part in (self.volumes, self.snapshots, self.network):
                await _guarded(part.keep_house)
            await asyncio.sleep(HOUSEKEEPING_EVERY_S)


async def _guarded(chore: Callable[[], Awaitable[None]]) -> None:
    """Do a chore; one that fails is told, and is done again next time."""
    try:
        await chore()
    except Exception:
        log.exception("a part of the housekeeping failed")


def guest_id(token: str | None) -> str:
    """Return the id that belongs to a token, or a new one. Raises Invalid for a bad token."""
    if token is None:
        return f"i-{secrets.token_hex(8)}"
    if not 0 < len(token) <= MAX_TOKEN:
        raise Invalid(f"token has {len(token)} characters, not 1 to {MAX_TOKEN}")
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
    return f"i-{digest[:16]}"


def _fell_over(record: Record) -> bool:
    return record.process is not None and not lives(record)


def _wanted_to_run(record: Record) -> bool:
    return record.wanted is Wanted.RUNNING and record.error is None
