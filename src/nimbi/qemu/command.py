"""The command line of one guest's QEMU."""

from pathlib import Path

from nimbi.qemu.engine import ACCELERATORS, KERNEL_OPTIONS, QEMU, SANDBOX
from nimbi.qemu.images import INITRD, KERNEL, Image
from nimbi.qemu.record import ADDRESS, CONSOLE, DISK, QMP, SEED, Record

BOOT_LINE = "console=ttyS0 quiet panic=1"
MAC_PREFIX = "52:54:00"


def arguments(record: Record, image: Image, *, sandbox: bool) -> list[str | Path]:
    """Return program and arguments. They hold for the guest's directory as working directory.

    All paths of the guest are relative: a unix socket's path is short so, however deep the state
    directory lies. Devices have fixed places, so that a guest finds them again at each start.
    """
    return [
        *(QEMU, "-name", f"guest={record.id}", "-uuid", uuid(record.id)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", f"{record.machine},usb=off,vmport=off", *ACCELERATORS[record.accelerator]),
        *("-m", str(record.memory_mib), "-smp", str(record.cpus)),
        *("-kernel", image.path / KERNEL, "-initrd", image.path / INITRD),
        *("-append", f"{BOOT_LINE} {KERNEL_OPTIONS[record.accelerator]}".strip()),
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *("-qmp", f"unix:{QMP},server=on,wait=off"),
        *_disk("root", 4, f"file={DISK},format=qcow2,discard=unmap"),
        *_disk("seed", 5, f"file={SEED},format=raw,readonly=on"),
        *_network(record),
        *(("-sandbox", SANDBOX) if sandbox else ()),
    ]


def uuid(id: str) -> str:
    """Return the machine id of a guest. It also finds the guest's process by its command line."""
    digits = id.rpartition("-")[2].ljust(32, "0")[:32]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _disk(name: str, slot: int, source: str) -> tuple[str, ...]:
    device = f"virtio-blk-pci,drive={name},serial={name},addr={slot:#x}"
    return ("-drive", f"if=none,id={name},{source}", "-device", device)


def _network(record: Record) -> tuple[str, ...]:
    """Return the user-mode network: outgoing traffic through the host, and published ports.

    What the guest sends to 10.0.2.2 comes out on the host's own loopback, and QEMU has no switch
    against this alone: `restrict` shuts it, but with it all that is outgoing.
    """
    ports = (f"hostfwd=tcp:{ADDRESS}:{host}-:{guest}" for guest, host in record.ports.items())
    restrict = "off" if record.outgoing else "on"
    backend = ",".join(("user,id=net,ipv6=off", f"restrict={restrict}", *ports))
    digits = uuid(record.id).replace("-", "")
    mac = f"{MAC_PREFIX}:{digits[0:2]}:{digits[2:4]}:{digits[4:6]}"
    # An empty romfile: the card's network boot program would only cost time.
    return ("-netdev", backend, "-device", f"virtio-net-pci,netdev=net,mac={mac},romfile=,addr=0x3")
