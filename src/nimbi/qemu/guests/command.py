"""The command line of one guest's QEMU."""

from collections.abc import Sequence
from pathlib import Path

from nimbi.qemu.guests import firmware
from nimbi.qemu.guests.record import (
    ADDRESS,
    AGENT,
    CONSOLE,
    DISK,
    EVENTS,
    QMP,
    SEED,
    SERIAL,
    VNC,
    Record,
)
from nimbi.qemu.host.engine import ACCELERATORS, KERNEL_OPTIONS, QEMU, SANDBOX
from nimbi.qemu.images.store import INITRD, KERNEL, Image
from nimbi.qemu.network.passt import SOCKET

# The last console is the one that programs in the guest write to.
BOOT_LINE = "console=tty0 console=ttyS0 quiet panic=1"
MAC_PREFIX = "52:54:00"

FIRST_CARD_SLOT = 3


def arguments(
    record: Record, image: Image, more: Sequence[str | Path], *, sandbox: bool
) -> list[str | Path]:
    """Return program and arguments. They hold for the guest's directory as working directory.

    All paths of the guest are relative: a unix socket's path is short so, however deep the state
    directory lies. Devices have fixed places, so that a guest finds them again at each start.
    """
    return [
        *(QEMU, "-name", f"guest={record.id}", "-uuid", uuid(record.id)),
        *("-nodefaults", "-no-user-config"),
        *("-machine", f"{record.machine},usb=off,vmport=off", *ACCELERATORS[record.accelerator]),
        *("-m", str(record.memory_mib), "-smp", str(record.cpus)),
        *_boot(record, image),
        *_consoles(),
        *("-qmp", f"unix:{QMP},server=on,wait=off", "-qmp", f"unix:{EVENTS},server=on,wait=off"),
        # A full disk of the host pauses the guest, which goes on once there is room.
        *_disk("root", 4, f"driver=qcow2,discard=unmap,file.driver=file,file.filename={DISK}", 1),
        *_disk("seed", 5, f"driver=raw,read-only=on,file.driver=file,file.filename={SEED}"),
        *more,
        *(("-sandbox", SANDBOX) if sandbox else ()),
    ]


def uuid(id: str) -> str:
    """Return the machine id of a guest. It also finds the guest's process by its command line."""
    digits = id.rpartition("-")[2].ljust(32, "0")[:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def mac(id: str) -> str:
    """Return the hardware address of a guest's first network card."""
    return f"{MAC_PREFIX}:{id[2:4]}:{id[4:6]}:{id[6:8]}"


def user_network(record: Record) -> tuple[str, ...]:
    """Return the user-mode network: published ports and, where wished, outgoing traffic.

    What the guest sends to 10.0.2.2 comes out on the host's own loopback, and QEMU has no switch
    against this alone: `restrict` shuts it, but with it all that is outgoing.
    """
    ports = (f"hostfwd=tcp:{ADDRESS}:{host}-:{guest}" for guest, host in record.ports.items())
    restrict = "off" if record.outgoing else "on"
    return _card(record, ",".join(("user,id=net,ipv6=off", f"restrict={restrict}", *ports)))


def passt_network(record: Record) -> tuple[str, ...]:
    """Return the network of a passt that listens in the guest's directory."""
    return _card(record, f"stream,id=net,server=off,addr.type=unix,addr.path={SOCKET}")


def _card(record: Record, backend: str) -> tuple[str, ...]:
    # An empty romfile: the card's network boot program would only cost time.
    card = f"virtio-net-pci,netdev=net,mac={mac(record.id)},romfile=,addr={FIRST_CARD_SLOT:#x}"
    return ("-netdev", backend, "-device", card)


def _boot(record: Record, image: Image) -> tuple[str | Path, ...]:
    if record.boot == "kernel":
        line = f"{BOOT_LINE} {KERNEL_OPTIONS[record.accelerator]}".strip()
        files = ("-kernel", image.path / KERNEL, "-initrd", image.path / INITRD)
        return (*files, "-append", line)
    if record.boot == "uefi":
        return firmware.arguments()
    return ()


def _consoles() -> tuple[str, ...]:
    """Return screen, serial line and the guest agent's line, each on a socket of its own."""
    serial = f"socket,id=serial,path={SERIAL},server=on,wait=off,logfile={CONSOLE},logappend=on"
    agent = f"socket,id=agent,path={AGENT},server=on,wait=off"
    return (
        *("-device", "VGA,vgamem_mb=8,edid=off,addr=0x2", "-vnc", f"unix:{VNC}"),
        *("-chardev", serial, "-serial", "chardev:serial"),
        *("-device", "virtio-serial-pci,id=lines,addr=0x6", "-chardev", agent),
        *("-device", "virtserialport,bus=lines.0,chardev=agent,name=org.qemu.guest_agent.0"),
    )


def _disk(name: str, slot: int, source: str, order: int = 2) -> tuple[str, ...]:
    place = f"virtio-blk-pci,id={name},drive={name},serial={name},addr={slot:#x}"
    device = f"{place},bootindex={order},werror=enospc"
    return ("-blockdev", f"node-name={name},{source}", "-device", device)
