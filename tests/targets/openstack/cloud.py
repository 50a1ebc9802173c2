"""A real OpenStack on one machine, from Debian's packages: brought up, and taken down again."""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.targets.openstack import base, configuration, hypervisor, leftovers, services, stand_ins
from tests.targets.openstack.configuration import ETC, STORES, stamp, stamped
from tests.targets.openstack.knocking import is_open
from tests.targets.openstack.processes import Failed, Processes
from tests.targets.openstack.settings import CACHE, LOG, PORTS, READY, ROOT, RUN, STATE
from tests.targets.openstack.stand_ins import BIN

HERE = ROOT / "tests" / "targets" / "openstack"
IMAGE = CACHE / "tiny.qcow2"

ENVIRONMENT = {
    "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": str(STATE),
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OS_KEYSTONE_CONFIG_DIR": f"{ETC}/keystone",
    "OS_PLACEMENT_CONFIG_DIR": f"{ETC}/placement",
}
# What all others need, which therefore ends last.
LAST = ("libvirtd", "virtlogd", "libvirt-ns", "rabbitmq", "epmd", "memcached", "mariadb")


def processes() -> Processes:
    """Return the cloud's daemons."""
    return Processes(RUN, LOG, ENVIRONMENT)


def install() -> None:
    """Install the packages that are missing. Raises Failed when that cannot be."""
    names = (HERE / "packages").read_text().split()
    command = [ROOT / ".ci" / "packages", *(f"installed:{name}" for name in names)]
    if subprocess.run(command).returncode:
        raise Failed("packages are missing")


def up() -> None:
    """Start what does not run yet; return when guests can be launched."""
    with _alone():
        own = processes()
        _look_at_ports(own)
        configuration.write()
        stand_ins.write()
        before_all = set(own.started())
        image = _building()
        base.start(own)
        _tell("database")
        base.sync(own, "keystone")
        services.start_keystone(own)
        _tell("Keystone")
        from tests.targets.openstack import contents  # Debian's openstacksdk is there by now

        with base.syncing(own, "glance", "neutron", "nova", "placement", "cinder"):
            if not stamped("identity"):
                contents.fill_keystone()
                stamp("identity")
            _build_rings()
        base.await_broker(own)
        _tell("tables, users, endpoints")
        hypervisor.plumb()
        hypervisor.start(own)
        beats = services.beats()
        services.start(own)
        _tell("all services answer")
        if image is not None and image.wait():
            raise Failed(f"the image was not built: {own.log_of('image').read_text()[-2000:]}")
        contents.fill(IMAGE)
        services.await_beats(own, beats, set(own.started()) - before_all)
        if not stamped("host"):
            discover = f"nova-manage {base.NOVA} cell_v2 discover_hosts"
            base.run("discover", discover.split(), own)
            stamp("host")
        contents.await_hypervisor()
        READY.touch()
        _tell("ready")


def was_cut_off() -> bool:
    """Return whether the cloud was started, and not stopped, and nothing of it lives."""
    own = processes()
    return bool(own.started()) and not any(map(own.alive, own.started()))


def down(*, purge: bool = False) -> None:
    """Stop what was started, and only that; keep the state unless it is to go, too."""
    if not RUN.exists():
        return
    with _alone():
        READY.unlink(missing_ok=True)
        own = processes()
        names = own.started()
        own.stop(*(name for name in names if name not in LAST), patience_s=4)
        if own.alive("libvirtd"):
            hypervisor.destroy_guests()
        for name in LAST:
            own.stop(name, patience_s=15)
        leftovers.clear()
        own.forget()
        if purge:
            shutil.rmtree(STATE)


@contextmanager
def _alone() -> Iterator[None]:
    """Let one at a time change what runs."""
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed("somebody else starts or stops it now") from None
        yield


def _look_at_ports(own: Processes) -> None:
    if any(own.alive(name) for name in own.started()):
        return
    for name, port in PORTS.items():
        if is_open(port):
            raise Failed(f"port {port} (for {name}) is taken by something else")


def _building() -> "subprocess.Popen[bytes] | None":
    """Build the image of the guests, in the background, unless it is there."""
    if IMAGE.exists():
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    with processes().log_of("image").open("wb") as log:
        return subprocess.Popen([HERE / "mkimage", CACHE], stdout=log, stderr=log)


def _build_rings() -> None:
    """Tell Swift that it has one disk for everything."""
    place = ETC / "swift"
    for kind in STORES:
        if (place / f"{kind}.ring.gz").exists():
            continue
        for words in (
            ("create", "4", "1", "0"),
            ("add", f"r1z1-127.0.0.1:{PORTS[kind]}/d1", "1"),
            ("rebalance",),
        ):
            command = ["swift-ring-builder", f"{place}/{kind}.builder", *words]
            base.run("swift-rings", command, processes())


_BEGAN = time.monotonic()


def _tell(what: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {what}", flush=True)  # noqa: T201
