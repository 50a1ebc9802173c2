"""The file trees of the demo guest: the first root in memory, and the root on its disk."""

import asyncio
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from nimbi.qemu.errors import Failed, Missing
from nimbi.qemu.host.programs import PACKAGES, program, run
from nimbi.qemu.images.builders import cpio
from nimbi.qemu.images.builders.cpio import Entry, directory, file, link
from nimbi.qemu.images.builders.kernel import Kernel
from nimbi.qemu.images.builders.modules import ModuleTree

MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4", "isofs", "button", "evdev")
"""Drivers of the guest's devices, file systems and power button; what these need is added."""

LATE_MODULES = ("virtio_console",)
"""Drivers without which the guest is ready; it loads them from its disk."""

FIRST_ROOT_APPLETS = ("mount", "insmod", "usleep", "poweroff", "switch_root")
ROOT_APPLETS = (
    *("acpid", "awk", "findfs", "head", "hostname", "httpd", "init", "ip", "killall", "mkpasswd"),
    *("mount", "poweroff", "sed", "setsid", "sh", "sha256sum", "tee", "udhcpc", "umount"),
)
"""What the guest's own scripts call: a busybox without one of them will not do."""

PROGRAMS = {
    "dropbear": "usr/sbin/dropbear",
    "dropbearkey": "usr/bin/dropbearkey",
    "resize2fs": "sbin/resize2fs",
}
"""Programs of the host that the guest gets, with their libraries: name, place in the guest."""

AGENT = ("qemu-ga", "usr/sbin/qemu-ga")
"""The guest agent, for hosts that have it: without it a guest lacks nothing else."""

LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x[0-9a-f]+\)")

DIRECTORIES = (
    *("bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "etc/dropbear", "lib", "lib64", "mnt"),
    *("proc", "run", "sbin", "srv", "srv/www", "srv/www/cgi-bin", "sys", "tmp", "usr", "usr/bin"),
    *(
        "usr/lib",
        "usr/lib/nimbi",
        "usr/lib/nimbi/modules",
        "usr/sbin",
        "var",
        "var/lib",
        "var/lib/nimbi",
        "var/log",
    ),
)

SCRIPTS = {
    "boot": "usr/lib/nimbi/boot",
    "seed": "usr/lib/nimbi/seed",
    "first-boot": "usr/lib/nimbi/first-boot",
    "user-data": "usr/lib/nimbi/user-data",
    "lease": "usr/lib/nimbi/lease",
    "late": "usr/lib/nimbi/late",
    "card": "usr/lib/nimbi/card",
    "halt": "usr/lib/nimbi/halt",
    "off": "usr/lib/nimbi/off",
    "power-button": "etc/acpi/PWRF/00000080",
    "page.cgi": "srv/www/cgi-bin/index.cgi",
    "status.cgi": "srv/www/cgi-bin/status.json",
}
"""Script of this package: its place in the guest."""

TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/srv/www:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nwww:x:33:\n",
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "etc/profile": "export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\ncd\nPS1='\\h:\\w# '\n",
    "etc/shells": "/bin/sh\n",
    "etc/httpd.conf": "H:/srv/www\n",
}


def script(name: str) -> bytes:
    """Return one file of the `demo` directory of this package."""
    return (resources.files("nimbi.qemu.images.builders") / "demo" / name).read_bytes()


async def busybox_applets() -> tuple[bytes, list[str]]:
    """Return busybox itself and the names it answers to.

    Raises Missing when it is not there, not static, or lacks what the guest's scripts call.
    """
    where = program("busybox")
    applets = (await run("busybox", "--list")).decode().split()
    lacking = sorted({*ROOT_APPLETS, *FIRST_ROOT_APPLETS} - set(applets))
    if lacking or await libraries(where):
        raise Missing(f"a static busybox with {', '.join(lacking or ['all'])}", PACKAGES["busybox"])
    return where.read_bytes(), [name for name in applets if name != "busybox"]


async def libraries(binary: Path) -> list[Path]:
    """Return the shared libraries that a program of the host needs; none for a static one."""
    try:
        said = (await run("ldd", binary)).decode()
    except Failed:
        return []
    return [Path(found) for found in LIBRARY.findall(said)]


def first_root(kernel: Kernel, busybox: bytes) -> bytes:
    """Return the archive that the kernel unpacks: drivers, and the script that mounts the disk.

    It is not compressed: unpacking would cost an emulated processor more than reading.
    """
    modules = ModuleTree(kernel.modules).load_order(MODULES)
    entries = [directory(name) for name in ("bin", "dev", "modules", "proc", "root", "sys")]
    entries += [file("init", script("init"), 0o755), file("bin/busybox", busybox, 0o755)]
    entries += _modules(modules, "modules")
    return cpio.archive(entries)


async def root(kernel: Kernel) -> list[Entry]:
    """Return everything on the guest's disk, parents first, all of it owned by root."""
    late = await asyncio.to_thread(_late_modules, ModuleTree(kernel.modules))
    busybox, applets = await busybox_applets()
    entries = [directory(path) for path in DIRECTORIES]
    entries += [directory("root", 0o700), file("bin/busybox", busybox, 0o755)]
    entries += [link(f"bin/{name}", "busybox") for name in applets]
    entries += [link("sbin/init", "../bin/busybox"), link("sbin/reboot", "../bin/busybox")]
    entries += [file(place, script(name), 0o755) for name, place in SCRIPTS.items()]
    entries += [file(place, text.encode()) for place, text in TEXTS.items()]
    entries += [file("etc/inittab", script("inittab"))]
    entries += [file("etc/shadow", b"root:*:0:0:99999:7:::\n", 0o600)]
    entries += [link("etc/resolv.conf", "../run/resolv.conf")]
    entries += _modules(late, "usr/lib/nimbi/modules")
    return _with_parents([*entries, *await _programs()])


def _late_modules(tree: ModuleTree) -> dict[str, bytes]:
    loaded = tree.load_order(MODULES)
    wanted = tree.load_order(LATE_MODULES)
    return {name: data for name, data in wanted.items() if name not in loaded}


def _modules(modules: Mapping[str, bytes], place: str) -> list[Entry]:
    order = "".join(f"{name}\n" for name in modules)
    files = [file(f"{place}/{name}.ko", data) for name, data in modules.items()]
    return [*files, file(f"{place}/order", order.encode())]


async def _programs() -> list[Entry]:
    entries: dict[str, Entry] = {}
    agent, place = AGENT
    wanted = PROGRAMS | ({agent: place} if _is_there(agent) else {})
    for name, place in wanted.items():
        where = program(name)
        entries[place] = file(place, where.read_bytes(), 0o755)
        for library in await libraries(where):
            at = str(library).lstrip("/")
            entries[at] = file(at, library.read_bytes(), 0o755)
    return list(entries.values())


def _is_there(name: str) -> bool:
    try:
        program(name)
    except Missing:
        return False
    return True


def _with_parents(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries with the directories that lack, each before what it holds."""
    known = {entry.path: entry for entry in entries}
    for entry in entries:
        for parent in Path(entry.path).parents:
            known.setdefault(str(parent), directory(str(parent)))
    known.pop(".", None)
    return sorted(known.values(), key=lambda entry: entry.path)


def write_sources(entries: Iterable[Entry], place: Path) -> str:
    """Write the data of all files below `place` and return the debugfs commands that copy them.

    debugfs, unlike `mke2fs -d`, gives everything to root without being root itself.
    """
    commands: list[str] = []
    for number, entry in enumerate(entries):
        if stat.S_ISDIR(entry.mode):
            commands.append(f"mkdir /{entry.path}")
        elif stat.S_ISLNK(entry.mode):
            commands.append(f"symlink /{entry.path} {entry.data.decode()}")
            continue
        else:
            (place / str(number)).write_bytes(entry.data)
            commands.append(f"write {number} /{entry.path}")
        commands.append(f"set_inode_field /{entry.path} mode 0{entry.mode:o}")
    return "\n".join(commands) + "\n"
