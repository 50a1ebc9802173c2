"""The networks of all guests, and everything that is asked of them."""

import asyncio
import base64
import json
import logging
from dataclasses import replace
from pathlib import Path

from nimbi.qemu.errors import QemuError, Unsupported
from nimbi.qemu.guests.parts import Gear
from nimbi.qemu.guests.record import GIVEN, Record, now
from nimbi.qemu.guests.spec import HTTP, SSH
from nimbi.qemu.guests.store import GuestStore
from nimbi.qemu.network import (
    addresses,
    blocks,
    cards,
    firewalls,
    interfaces,
    metadata,
    networks,
    planning,
)
from nimbi.qemu.network.alone import Alone
from nimbi.qemu.network.blocks import Block
from nimbi.qemu.network.fabric import Fabric
from nimbi.qemu.network.guests import Cards, carried, find_guest
from nimbi.qemu.network.ledger import Carrier, Ledger
from nimbi.qemu.network.records import (
    Address,
    Card,
    Firewall,
    NetworkRecord,
    Records,
    Running,
    Subnet,
)
from nimbi.qemu.network.rungs import Ladder, Rung, choose
from nimbi.qemu.network.user_network import UserNetwork
from nimbi.qemu.options import Options

METADATA = "metadata.json"
"""In a guest's directory: what the metadata service tells it about itself."""

log = logging.getLogger("nimbi.qemu")


class Network:
    """Networks, subnets, cards, firewalls and held addresses. It is a Part of each guest.

    Without a fabric (rung `user`) each guest has a network of its own, and there are held
    addresses only: all else raises Unsupported. `ladder` is what was found, once it is open.
    """

    def __init__(self, root: Path, guests: GuestStore, options: Options = Options()) -> None:
        """Give networks to the guests of a store, with records below `root`; see `open`."""
        self._root = root
        self._guests = guests
        self._alone = UserNetwork(guests.root, unsafe=options.outgoing is True)
        self.options = options
        self.ledger = Ledger(root)
        self.cards = Cards(self.ledger, guests)
        self.ladder: Ladder | None = None

    @property
    def fabric(self) -> bool:
        """Whether there is a fabric, without which there are no networks of one's own."""
        return self.ledger.carrier.fabric

    @property
    def addresses_held(self) -> bool:
        """Whether addresses can be held: this process may listen at low ports of them."""
        return self.can_listen(self.options.addresses, SSH)

    def can_listen(self, block: Block, port: int) -> bool:
        """Say whether what publishes ports may listen at addresses of a block, on this port."""
        if self.ladder and self.ladder.rung is Rung.USERNS:
            # In a user namespace of its own nobody has rights over this machine's ports.
            return addresses.anybody_can_bind(port)
        return addresses.can_bind(block, port)

    async def records(self) -> Records:
        """Return all that is written down; without a fabric, what is out of use is left out."""
        records = await self.ledger.records()
        if self.fabric:
            return records
        return replace(records, networks={}, subnets={}, cards={}, firewalls={})

    async def join(self, guest_id: str, firewall_ids: tuple[str, ...]) -> None:
        """Give a guest that is about to be made its first card, with its address.

        Again, it is left as it is. The caller holds back everybody else who makes the same guest,
        and calls `forget` when that fails. Raises NotFound for a firewall, Invalid, Capacity,
        Unsupported for firewalls where there are none.
        """
        if self.fabric:
            await self.ledger.change(
                lambda r: interfaces.join(self._based(r), guest_id, firewall_ids, now())
            )
        elif firewall_ids:
            self._need_fabric("firewalls")

    async def open(self, carrier: Carrier | None = None) -> None:
        """Find the best kind of network that this machine allows, unless a carrier is given.

        What is always there is written down, and what the records say is brought to life. Raises
        Unsupported for a rung that was asked for and does not work.
        """
        if carrier is None:
            self.ladder = await choose(self._root, self.options.network)
            rung = self.ladder.rung
            carrier = Alone(self._root) if rung is Rung.USER else Fabric(self._root, rung)
        self.ledger.use(carrier)
        if self.fabric:
            await self.ledger.change(lambda records: (self._based(records), None))
        await self.keep_house()

    async def close(self) -> None:
        """Wait for changes that have begun; all that is alive stays so."""
        await self.ledger.close()

    async def gear(self, record: Record) -> Gear:
        """Bring the guest's cards, addresses and published ports to life, and return the cards.

        Raises Conflict when a port is taken, Failed and Missing for what the network needs.
        """
        if not self.fabric:
            running = self._running(record)
            await self.ledger.change(lambda r: (r.having(running), None), of=record.id)
            return await self._alone.gear(record)
        card = await self.ledger.change(
            lambda r: interfaces.join(self._based(r), record.id, None, now())
        )
        await asyncio.to_thread(self._tell, record, card)
        running = self._running(record)

        def step(records: Records) -> tuple[Records, Records]:
            mine = interfaces.cards_of(records, record.id)
            kept = [replace(card, joining=False) for card in mine if not card.leaving]
            gone = [card for card in mine if card.leaving]
            changed = records.without(*gone).having(running, *kept)
            return changed, changed

        records = await self.ledger.change(step, of=record.id)
        inside = await self.ledger.carrier.inside()
        mine = interfaces.cards_of(records, record.id)
        planned = [planning.planned(records, card) for card in mine]
        return Gear(arguments=cards.arguments(planned), prefix=inside.prefix)

    async def started(self, record: Record) -> None:
        """Give the guest what cards it was given while it was started."""
        await self.cards.settle(record.id)

    async def ended(self, id: str) -> None:
        """Take the guest's cards, addresses and published ports out of life."""
        await self._alone.ended(id)

        def step(records: Records) -> Records:
            running = records.running.get(id)
            over = running is not None and not carried(self._guests.find(id))
            return records.without(running) if running and over else records

        if id in (await self.ledger.records()).running:
            await self.ledger.mend(step)

    async def forget(self, id: str) -> None:
        """Release the guest's cards and addresses; no balancer has it as a member any more."""
        await self._alone.forget(id)
        await self.ledger.mend(lambda records: interfaces.forget_guest(records, id))

    async def keep_house(self) -> None:
        """Bring to life what the records say, and let go of guests that are gone.

        What fails is logged, and tried again next time.
        """
        try:
            await self.ledger.mend(self._swept)
            await self.cards.keep_house()
        except (QemuError, OSError):
            log.exception("the network could not be mended")

    def _swept(self, records: Records) -> Records:
        known = {card.guest_id for card in records.cards.values()} | records.running.keys()
        for guest_id in known:
            # First the one who might make it, then what was made: it can't slip through between.
            being_made = self._guests.being_created(guest_id)
            record = self._guests.find(guest_id)
            if record is None and not being_made:
                records = interfaces.forget_guest(records, guest_id)
            elif guest_id in records.running and not carried(record):
                records = records.without(records.running[guest_id])
        return records

    def _tell(self, record: Record, card: Card) -> None:
        """Write down what the metadata service tells the guest about itself."""
        directory = self._guests.directory(record.id)
        try:
            given = json.loads((directory / GIVEN).read_bytes())
        except FileNotFoundError:
            return
        facts = metadata.Facts(
            instance_id=record.id,
            host_name=record.host_name,
            ip=card.ip,
            mac=card.mac,
            image_id=record.image_id,
            instance_type=f"{record.cpus}x{record.memory_mib}",
            public_keys={f"key-{n}": line for n, line in enumerate(given["public_keys"], 1)},
            user_data=base64.b64decode(given["user_data"]),
        )
        metadata.write(directory / METADATA, facts)

    def _running(self, record: Record) -> Running:
        told = self._guests.directory(record.id) / METADATA
        return Running(
            id=record.id,
            host_name=record.host_name,
            ports=dict(record.ports),
            outgoing=record.outgoing,
            metadata=str(told) if told.exists() else None,
        )

    def _based(self, records: Records) -> Records:
        """Return the records with the network and the firewall that are always there."""
        if networks.DEFAULT_ID in records.networks and firewalls.DEFAULT_ID in records.firewalls:
            return records
        host = blocks.of_host()
        return firewalls.with_default(networks.with_default(records, host, now()), now())

    async def create_network(
        self, *, name: str | None, block: str | None, token: str | None
    ) -> NetworkRecord:
        """Return a new network. See `networks.add_network`."""
        self._need_fabric("networks")
        host = blocks.of_host()
        return await self.ledger.change(
            lambda r: networks.add_network(
                r, name=name, block=block, token=token, host=host, at=now()
            )
        )

    async def destroy_network(self, id: str) -> None:
        """Remove a network and its subnets. See `networks.remove_network`."""
        self._need_fabric("networks")
        await self.ledger.change(lambda r: (networks.remove_network(r, id), None))

    async def create_subnet(
        self, *, network_id: str, block: str, name: str | None, token: str | None
    ) -> Subnet:
        """Return a new subnet. See `networks.add_subnet`."""
        self._need_fabric("subnets")
        return await self.ledger.change(
            lambda r: networks.add_subnet(
                r, network_id=network_id, block=block, name=name, token=token, at=now()
            )
        )

    async def destroy_subnet(self, id: str) -> None:
        """Remove a subnet. See `networks.remove_subnet`."""
        self._need_fabric("subnets")
        await self.ledger.change(lambda r: (networks.remove_subnet(r, id), None))

    async def create_interface(
        self,
        *,
        guest_id: str,
        network_id: str | None,
        subnet_id: str | None,
        name: str | None,
        token: str | None,
    ) -> Card:
        """Return one more card of a guest, which has it at once when it runs.

        See `interfaces.add_card`; raises Failed when the guest's QEMU refuses it.
        """
        self._need_fabric("network interfaces")

        def step(records: Records) -> tuple[Records, Card]:
            find_guest(self._guests, guest_id)
            return interfaces.add_card(
                records,
                guest_id=guest_id,
                network_id=network_id,
                subnet_id=subnet_id,
                name=name,
                token=token,
                at=now(),
            )

        card = await self.ledger.change(step)
        return await self.cards.put_in(card)

    async def destroy_interface(self, id: str) -> None:
        """Take a card from its guest. See `interfaces.leave`.

        Raises TimedOut when the guest does not let go of it in time; it is taken later then.
        """
        self._need_fabric("network interfaces")
        await self.ledger.change(lambda r: (interfaces.leave(r, id), None))
        await self.cards.take_out(id)

    async def create_firewall(self, *, name: str, description: str, token: str | None) -> Firewall:
        """Return a new firewall, without rules. See `firewalls.add_firewall`."""
        self._need_fabric("firewalls")
        return await self.ledger.change(
            lambda r: firewalls.add_firewall(
                r, name=name, description=description, token=token, at=now()
            )
        )

    async def destroy_firewall(self, id: str) -> None:
        """Remove a firewall. See `firewalls.remove_firewall`."""
        self._need_fabric("firewalls")
        await self.ledger.change(lambda r: (firewalls.remove_firewall(r, id), None))

    async def create_rule(
        self,
        id: str,
        *,
        protocol: str,
        first: int,
        last: int,
        sources: tuple[str, ...],
        token: str | None,
    ) -> Firewall:
        """Return the firewall with one more rule, in force. See `firewalls.add_rule`."""
        self._need_fabric("firewalls")
        return await self.ledger.change(
            lambda r: firewalls.add_rule(
                r, id, protocol=protocol, first=first, last=last, sources=sources, token=token
            )
        )

    async def destroy_rule(self, id: str, rule_id: str) -> None:
        """Take a rule out of force. See `firewalls.remove_rule`."""
        self._need_fabric("firewalls")
        await self.ledger.change(lambda r: (firewalls.remove_rule(r, id, rule_id), None))

    async def create_address(self, token: str | None) -> Address:
        """Return one more held address. Raises Unsupported when low ports can't be listened at."""
        block = self.options.addresses
        if not self.addresses_held:
            raise Unsupported(f"this user may not listen at ports below 1024 of {block}")
        return await self.ledger.change(
            lambda r: addresses.add_address(
                r, block, token, now(), lambda ip: addresses.unused(ip, SSH, HTTP)
            )
        )

    async def destroy_address(self, id: str) -> None:
        """Give an address back. See `addresses.remove_address`."""
        await self.ledger.change(lambda r: (addresses.remove_address(r, id), None))

    async def associate(self, id: str, guest_id: str) -> None:
        """Point an address at a guest: its published ports answer there, under their own numbers.

        See `addresses.associate`; raises Conflict, too, when a port is taken, NotFound.
        """

        def step(records: Records) -> tuple[Records, None]:
            records.find(Address, id)
            find_guest(self._guests, guest_id)
            return addresses.associate(records, id, guest_id), None

        await self.ledger.change(step)

    async def disassociate(self, id: str) -> None:
        """Let an address point at nothing. See `addresses.disassociate`."""
        await self.ledger.change(lambda r: (addresses.disassociate(r, id), None))

    def _need_fabric(self, what: str) -> None:
        if not self.fabric:
            raise Unsupported(f"there are no {what} on this machine's kind of network, `user`")
