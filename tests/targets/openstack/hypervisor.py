"""A libvirt of our own, which knows nothing of the machine's, and the network its guests use."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.targets.openstack.processes import Processes
from tests.targets.openstack.settings import PUBLIC_BLOCK, STATE
from tests.targets.openstack.stand_ins import BIN

OWN = STATE / "libvirt"
# The two ends of a wire: this machine's, and that which Neutron puts into the bridge of `public`,
# as conf/neutron/ml2.ini tells. (Nova would not look for guests' cards in a bridge of our own.)
WIRE = ("nimbi-machine", "nimbi-cloud")
VOLUMES = STATE / "cinder" / "export"
VOLUMES_FILE = STATE / "cinder" / "volumes.img"

# Enters a mount namespace in which libvirt's directories are ours, and stays in it. Guests must see
# what is mounted for them later, so mounts spread within it.
NAMESPACE = """
/usr/bin/mount --make-rshared /
for pair in etc:/etc/libvirt run:/run/libvirt lib:/var/lib/libvirt log:/var/log/libvirt \
    cache:/var/cache/libvirt; do
  mkdir -p "${pair#*:}"
  /usr/bin/mount --bind "$1/${pair%%:*}" "${pair#*:}" || exit 1
done
touch "$1/run/.ours"
exec sleep infinity
"""


def start(processes: Processes) -> None:
    """Start libvirt, on a copy of the configuration that its package brings."""
    _stock()
    if processes.alive("libvirt-ns") is None:
        for path in (*(OWN / "run").glob("*-sock*"), *(OWN / "run").glob("*.pid")):
            path.unlink()
        (OWN / "run" / ".ours").unlink(missing_ok=True)
    enter = ["unshare", "--mount", "--propagation", "private"]
    processes.start("libvirt-ns", [*enter, "sh", "-c", NAMESPACE, "sh", str(OWN)])
    processes.wait_for("libvirt-ns", (OWN / "run" / ".ours").exists, 20)
    virtlogd = [*inside(processes), "/usr/sbin/virtlogd", "-p", "/run/libvirt/virtlogd.pid"]
    processes.start("virtlogd", virtlogd)
    processes.wait_for("virtlogd", (OWN / "run" / "virtlogd-sock").exists, 30)
    libvirtd = [*inside(processes), "/usr/sbin/libvirtd", "-p", "/run/libvirt/libvirtd.pid"]
    processes.start("libvirtd", libvirtd)


def await_libvirt(processes: Processes) -> None:
    processes.wait_for("libvirtd", lambda: _succeeds([BIN / "virsh", "version"]), 60)


def inside(processes: Processes) -> list[str]:
    """Return what leads a command to where libvirt is."""
    return ["nsenter", f"--mount=/proc/{processes.alive('libvirt-ns')}/ns/mnt", "--"]


def destroy_guests() -> None:
    """Pull the plug of all guests."""
    listed = subprocess.run(
        [BIN / "virsh", "list", "--uuid"], capture_output=True, text=True, timeout=20
    )
    for id in listed.stdout.split():
        subprocess.run([BIN / "virsh", "destroy", id], capture_output=True, timeout=20)


def _stock() -> None:
    etc = OWN / "etc"
    if (etc / "qemu.conf").exists():
        return
    shutil.copytree("/etc/libvirt", etc, symlinks=True, dirs_exist_ok=True)
    for path in (etc / "qemu" / "networks" / "autostart", etc / "storage" / "autostart"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (etc / "qemu").glob("*.xml"):
        path.unlink()
    with (etc / "qemu.conf").open("a") as conf:
        conf.write("\n# QEMU has to see what Nova mounts later\nnamespaces = []\n")
    # Its directories with their owners, without what is in them.
    subprocess.run(["cp", "-a", "--attributes-only", "/var/lib/libvirt/.", OWN / "lib"], check=True)


def plumb() -> None:
    """Make the way to the network `public`, and the file system of the volumes."""
    here, there = WIRE
    if not _succeeds(["ip", "link", "show", here]):
        _run("ip", "link", "add", here, "type", "veth", "peer", "name", there)
        _run("ip", "address", "add", f"{PUBLIC_BLOCK}.1/24", "dev", here)
        for end in WIRE:
            _run("ip", "link", "set", end, "up")
    _run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    if Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        _run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    Path("/run/netns").mkdir(exist_ok=True)
    if VOLUMES.is_mount():
        return
    if not VOLUMES_FILE.exists():
        with VOLUMES_FILE.open("wb") as file:
            file.truncate(20 << 30)
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", str(VOLUMES_FILE))
    _run("mount", "-o", "loop", str(VOLUMES_FILE), str(VOLUMES))
    VOLUMES.chmod(0o777)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _succeeds(command: Sequence[str | Path]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
