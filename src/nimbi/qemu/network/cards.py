"""Network cards as QEMU has them: from its start on, or plugged in while it runs."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from nimbi.qemu.errors import Failed
from nimbi.qemu.guests.qmp import Conversation, conversation
from nimbi.qemu.network.plan import Card

DRIVER = "virtio-net-pci"
PERIPHERALS = "/machine/peripheral"


def arguments(cards: Iterable[Card]) -> tuple[str | Path, ...]:
    """Return QEMU's arguments for cards whose taps are there when QEMU starts."""
    return tuple(word for card in cards for word in _arguments(card))


def _arguments(card: Card) -> tuple[str, ...]:
    # An empty romfile: the card's network boot program would only cost time.
    device = f"{DRIVER},id={_device(card)},netdev={_net(card)},mac={card.mac},romfile="
    return (
        *("-netdev", f"tap,id={_net(card)},ifname={card.tap},script=no,downscript=no"),
        *("-device", f"{device},addr={card.slot:#x}"),
    )


def _net(card: Card) -> str:
    return f"net{card.slot}"


def _device(card: Card) -> str:
    return f"card{card.slot}"


async def plug(socket: Path, card: Card) -> None:
    """Give the guest whose QEMU listens at `socket` a card, whose tap is there.

    It may have it already. Raises Failed.
    """
    async with conversation(socket) as talk:
        if await _has(talk, card):
            return
        # One that was cut short has left its other end behind; usually there is none.
        await _drop_net(talk, card)
        net = {"type": "tap", "id": _net(card), "ifname": card.tap}
        await talk.ask("netdev_add", {**net, "script": "no", "downscript": "no"})
        place = {"id": _device(card), "addr": f"{card.slot:#x}"}
        await talk.ask(
            "device_add",
            {"driver": DRIVER, "netdev": _net(card), "mac": card.mac, "romfile": "", **place},
        )


async def unplug(socket: Path, card: Card, *, press: bool) -> bool:
    """Say whether the guest whose QEMU listens at `socket` has let go of a card.

    With `press` it is asked to, which may be repeated: a guest that still boots does not hear.
    Raises Failed.
    """
    async with conversation(socket) as talk:
        if await _has(talk, card):
            if press:
                # QEMU refuses to ask it twice before it has answered.
                with suppress(Failed):
                    await talk.ask("device_del", {"id": _device(card)})
            return False
        await _drop_net(talk, card)
        return True


async def _has(talk: Conversation, card: Card) -> bool:
    found = await talk.ask("qom-list", {"path": PERIPHERALS})
    return any(entry["name"] == _device(card) for entry in found)


async def _drop_net(talk: Conversation, card: Card) -> None:
    with suppress(Failed):
        await talk.ask("netdev_del", {"id": _net(card)})
