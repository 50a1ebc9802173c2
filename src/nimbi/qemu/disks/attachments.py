"""Which guest has which volume: as the volumes' records say, made true in each guest's QEMU."""

import asyncio
import contextlib
import logging
import re
from dataclasses import replace
from pathlib import Path

from nimbi.qemu.disks import plugging
from nimbi.qemu.disks.records import Hold, Volume
from nimbi.qemu.disks.shelf import Shelf
from nimbi.qemu.errors import Capacity, Conflict, Invalid, NotFound, QemuError, TimedOut
from nimbi.qemu.guests.record import QMP, Record, Wanted, lives
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host.files import locked

DETACH_S = 20.0
"""How long a guest's system may take to let go of a disk."""

PRESS_EVERY_S = 2.0
"""It is told again: a system that is still booting does not hear."""

LOOK_EVERY_S = 0.05
PATIENCE_S = 60.0
DEVICE = re.compile(r"/dev/[A-Za-z0-9][A-Za-z0-9_./-]{0,63}")

log = logging.getLogger("nimbi.qemu")


class Attachments:
    """Attaches and detaches volumes, hot and cold. All calls here hold the volume's lock already.

    What is wanted is in the record before anything is done to QEMU. `settled` makes the two agree,
    whoever was killed in between.
    """

    def __init__(self, shelf: Shelf[Volume], guests: GuestStore) -> None:
        """Attach volumes of this shelf to guests of this store."""
        self._shelf = shelf
        self._guests = guests

    def of(self, guest_id: str) -> list[Volume]:
        """Return the volumes of a guest, by their places in it."""
        found = [volume for volume in self._shelf.all() if volume.guest_id == guest_id]
        return sorted(found, key=lambda volume: volume.slot or 0)

    def guest(self, volume: Volume) -> Record | None:
        """Return the guest that has the volume, None when it is at none."""
        return None if volume.guest_id is None else self._guests.find(volume.guest_id)

    def socket(self, guest_id: str) -> Path:
        """Return the QMP socket of a guest."""
        return self._guests.directory(guest_id) / QMP

    async def attach(self, volume: Volume, guest_id: str, device: str | None) -> Volume:
        """Give a free volume to a guest; one that runs has it at once. See VolumeStore.attach."""
        check_device(device)
        return await self._attached_or_free(await self._reserve(volume, guest_id, device))

    async def _reserve(self, volume: Volume, guest_id: str, device: str | None) -> Volume:
        async with locked(self._shelf.locks / "slots.lock"):
            self._wanted(guest_id)
            others = self.of(guest_id)
            if device is not None and device in {other.device for other in others}:
                raise Conflict(f"guest {guest_id} has a volume at {device} already")
            taken = {other.slot for other in others}
            slot = next((slot for slot in plugging.SLOTS if slot not in taken), None)
            if slot is None:
                raise Capacity(f"guest {guest_id} has {len(plugging.SLOTS)} volumes, the most")
            placed = replace(volume, guest_id=guest_id, slot=slot, device=device)
            return self._shelf.save(replace(placed, hold=Hold.ATTACHING))

    def _wanted(self, guest_id: str) -> Record:
        guest = self._guests.find(guest_id)
        if guest is None or guest.wanted is Wanted.GONE:
            raise NotFound(f"there is no guest {guest_id!r}")
        return guest

    async def _attached(self, volume: Volume) -> Volume:
        # The record is written, so a guest whose QEMU is started from now on gets the volume, and
        # one that is going away is asked to forget it. One that is being started has it by
        # `started` at the latest.
        guest = self._wanted(volume.guest_id or "")
        if lives(guest):
            try:
                await plugging.plug(self.socket(guest.id), volume)
            except QemuError:
                if lives(guest):
                    raise
        return self._shelf.save(replace(volume, hold=Hold.ATTACHED))

    async def _attached_or_free(self, volume: Volume) -> Volume:
        try:
            return await self._attached(volume)
        except QemuError:
            guest = self.guest(volume)
            if guest is None or not lives(guest) or not await self._is_plugged(volume):
                self._free(volume)
            raise

    async def _is_plugged(self, volume: Volume) -> bool:
        try:
            return volume.id in await plugging.plugged(self.socket(volume.guest_id or ""))
        except QemuError:
            # Nobody knows, so the record goes on saying that it may be so.
            return True

    async def detach(self, volume: Volume, within_s: float = DETACH_S) -> Volume:
        """Take a volume from its guest. See VolumeStore.detach."""
        volume = self._shelf.save(replace(volume, hold=Hold.DETACHING))
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        press_at = loop.time()
        while True:
            press = loop.time() >= press_at
            if press:
                press_at += PRESS_EVERY_S
            if (left := await self._let_go(volume, press=press)).hold is Hold.FREE:
                return left
            if loop.time() >= end:
                raise Conflict(
                    f"guest {volume.guest_id} has not let go of volume {volume.id} within "
                    f"{within_s:g} s: it stays attached until the guest does, or stops"
                )
            await asyncio.sleep(LOOK_EVERY_S)

    async def _let_go(self, volume: Volume, *, press: bool) -> Volume:
        """Return the volume free if its guest has let go of it, and else as it is."""
        guest = self.guest(volume)
        if guest is None:
            return self._free(volume)
        if lives(guest):
            return await self._unplugged(volume, guest, press=press)
        if guest.wanted is Wanted.GONE and not guest.launching:
            return self._free(volume)
        with self._guests.work(guest.id) as nobody_starts_it:
            now = self.guest(volume)
            if nobody_starts_it and (now is None or not (lives(now) or now.launching)):
                return self._free(volume)
        return volume

    async def _unplugged(self, volume: Volume, guest: Record, *, press: bool) -> Volume:
        try:
            if await plugging.unplug(self.socket(guest.id), volume.id, press=press):
                return self._free(volume)
        except QemuError:
            if lives(guest):
                log.warning("the QEMU of guest %s does not answer", guest.id)
        return volume

    def _free(self, volume: Volume) -> Volume:
        free = replace(volume, hold=Hold.FREE, guest_id=None, slot=None, device=None)
        return self._shelf.save(free)

    async def settled(self, volume: Volume) -> Volume:
        """Return the volume once its record and its guest's QEMU agree, as far as they can.

        Raises QemuError when QEMU refuses it; it is then free if it was just being attached.
        """
        guest = self.guest(volume)
        if volume.hold is Hold.FREE or (guest is not None and guest.wanted is Wanted.GONE):
            return volume
        if guest is None or volume.hold is Hold.DETACHING:
            return await self._let_go(volume, press=True)
        if volume.hold is Hold.ATTACHING:
            return await self._attached_or_free(volume)
        return await self._attached(volume)

    async def settle(self, id: str, within_s: float = PATIENCE_S) -> None:
        """Settle one volume, when nobody works on it any more within `within_s`.

        What fails is logged: the next one who settles tries again.
        """
        try:
            async with self._shelf.holding(id, within_s) as volume:
                await self.settled(volume)
        except NotFound:
            return
        except QemuError as error:
            if isinstance(error, TimedOut) and not within_s:
                return
            log.warning("volume %s does not agree with its guest yet: %s", id, error)

    async def release(self, guest_id: str, holds: frozenset[Hold], within_s: float) -> None:
        """Free those volumes of a guest without QEMU that are held in one of these ways.

        Others may be at work on one, to detach it: they free it themselves. Raises TimedOut.
        """
        for volume in self.of(guest_id):
            if volume.hold not in holds:
                continue
            with contextlib.suppress(NotFound):
                async with self._shelf.holding(volume.id, within_s) as found:
                    if found.guest_id == guest_id and found.hold in holds:
                        self._free(found)


def check_device(device: str | None) -> None:
    """Raise Invalid for what is not the name of a device, such as /dev/sdc."""
    if device is not None and (not DEVICE.fullmatch(device) or ".." in device):
        raise Invalid(f"{device[:80]!r} is not the name of a device, such as /dev/sdc")
