"""Guests as the network sees them: whether they run, and the cards that they get and give back."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nimbi.qemu.errors import Failed, NotFound, QemuError, TimedOut
from nimbi.qemu.guests.record import QMP, Record, Wanted, lives
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.host.files import locked
from nimbi.qemu.network import cards, planning
from nimbi.qemu.network.interfaces import cards_of, leave
from nimbi.qemu.network.ledger import Ledger
from nimbi.qemu.network.records import Card, Records

UNPLUG_S = 20.0
LOOK_EVERY_S = 0.1


def carried(record: Record | None) -> bool:
    """Say whether a guest runs or is about to, so that its cards have to be there."""
    if record is None or lives(record) or record.launching:
        return record is not None
    pending = record.process is None and record.error is None
    return record.wanted is Wanted.RUNNING and pending


def find_guest(guests: GuestStore, id: str) -> Record:
    """Return the record of a guest. Raises NotFound, also for one on its way out."""
    record = guests.find(id)
    if record is None or record.wanted is Wanted.GONE:
        raise NotFound(f"there is no guest {id!r}")
    return record


class Cards:
    """Brings the cards in running guests in line with what is written down."""

    def __init__(self, ledger: Ledger, guests: GuestStore) -> None:
        """Work on the guests of a store."""
        self._ledger = ledger
        self._guests = guests

    async def put_in(self, card: Card) -> Card:
        """Return a new card once its guest has it, or will have it from its next start on.

        Raises Failed when its QEMU refuses; the card is gone then.
        """
        try:
            await self.settle(card.guest_id)
        except QemuError:
            await self._ledger.change(lambda r: (leave(r, card.id), None))
            with contextlib.suppress(QemuError):
                await self.settle(card.guest_id)
            raise
        return (await self._ledger.records()).cards.get(card.id, card)

    async def take_out(self, id: str) -> None:
        """Return once a leaving card is gone. Raises TimedOut while its guest holds on to it."""
        card = (await self._ledger.records()).cards.get(id)
        if card is not None:
            await self.settle(card.guest_id)

    async def keep_house(self) -> None:
        """Go on with what others have begun."""
        records = await self._ledger.records()
        unsettled = {c.guest_id for c in records.cards.values() if c.joining or c.leaving}
        for guest_id in sorted(unsettled):
            with contextlib.suppress(QemuError):
                await self.settle(guest_id)

    async def settle(self, guest_id: str) -> None:
        """Plug cards that are joining into the guest, and unplug those that are leaving.

        Raises TimedOut when it does not let go of one, Failed when its QEMU refuses one.
        """
        records = await self._ledger.records()
        if not any(card.joining or card.leaving for card in cards_of(records, guest_id)):
            return
        lock = self._ledger.locks / f"{guest_id}.cards"
        async with locked(lock):
            records = await self._ledger.records()
            for card in cards_of(records, guest_id):
                if card.leaving:
                    await self._take_out(records, card)
                elif card.joining:
                    await self._put_in(records, card)
            lock.unlink(missing_ok=True)

    async def _put_in(self, records: Records, card: Card) -> None:
        record = self._guests.find(card.guest_id)
        if record is None or not lives(record) or card.guest_id not in records.running:
            return
        await cards.plug(self._socket(card), planning.planned(records, card))
        await self._change(card, lambda r, there: r.having(replace(there, joining=False)))

    async def _take_out(self, records: Records, card: Card) -> None:
        record = self._guests.find(card.guest_id)
        if record is not None and carried(record):
            if not lives(record):
                # Its QEMU is just being started, with the card perhaps: the next look decides.
                raise TimedOut(f"guest {card.guest_id} is just being started with {card.id}")
            await self._unplug(records, card)
        await self._change(card, lambda r, there: r.without(there))

    async def _unplug(self, records: Records, card: Card) -> None:
        planned = planning.planned(records, card)
        loop = asyncio.get_running_loop()
        end = loop.time() + UNPLUG_S
        try:
            while not await cards.unplug(self._socket(card), planned, press=True):
                if loop.time() >= end:
                    raise TimedOut(f"the guest did not let go of {card.id} in {UNPLUG_S:g} s")
                await asyncio.sleep(LOOK_EVERY_S)
        except Failed:
            # One whose QEMU has ended meanwhile has no cards at all.
            if carried(self._guests.find(card.guest_id)):
                raise

    def _socket(self, card: Card) -> Path:
        return self._guests.directory(card.guest_id) / QMP

    async def _change(self, card: Card, step: Callable[[Records, Card], Records]) -> None:
        """Change the records, if the card is still there."""

        def if_there(records: Records) -> tuple[Records, None]:
            there = records.cards.get(card.id)
            return (step(records, there) if there else records), None

        await self._ledger.change(if_there)
