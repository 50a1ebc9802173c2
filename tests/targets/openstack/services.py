"""OpenStack's services: how each is started, and how it is seen to work."""

from functools import partial

from tests.targets.openstack import hypervisor
from tests.targets.openstack.base import NEUTRON, NOVA, sql
from tests.targets.openstack.configuration import ETC, STORES
from tests.targets.openstack.knocking import speaks
from tests.targets.openstack.processes import Processes
from tests.targets.openstack.settings import PORTS
from tests.targets.openstack.stand_ins import BIN

AGENTS_CONF = f"--config-file {ETC}/neutron/neutron.conf --config-file {ETC}/neutron/agents.ini"
CINDER = f"--config-file {ETC}/cinder/cinder.conf"
GLANCE = f"--config-file {ETC}/glance/glance-api.conf"
# What must not be given the databases, so that it asks the conductor.
COMPUTE = f"--config-file {ETC}/nova/nova.conf"

# By name: the entry point, and the words behind it.
PROGRAMS: dict[str, tuple[str, str]] = {
    "neutron-server": ("neutron.cmd.eventlet.server:main", NEUTRON),
    "glance-api": ("glance.cmd.api:main", GLANCE),
    "nova-conductor": ("nova.cmd.conductor:main", NOVA),
    "nova-api": ("nova.cmd.api:main", NOVA),
    "nova-scheduler": ("nova.cmd.scheduler:main", NOVA),
    "nova-compute": ("nova.cmd.compute:main", COMPUTE),
    "nova-novncproxy": ("nova.cmd.novncproxy:main", f"{NOVA} --web /usr/share/novnc"),
    "cinder-api": ("cinder.cmd.api:main", CINDER),
    "cinder-scheduler": ("cinder.cmd.scheduler:main", CINDER),
    "cinder-volume": ("cinder.cmd.volume:main", CINDER),
    "neutron-linuxbridge-agent": (
        "neutron.cmd.eventlet.plugins.linuxbridge_neutron_agent:main",
        NEUTRON,
    ),
    "neutron-dhcp-agent": ("neutron.cmd.eventlet.agents.dhcp:main", AGENTS_CONF),
    "neutron-metadata-agent": ("neutron.cmd.eventlet.agents.metadata:main", AGENTS_CONF),
    "neutron-l3-agent": ("neutron.cmd.eventlet.agents.l3:main", AGENTS_CONF),
}
AGENTS = tuple(name for name in PROGRAMS if name.startswith("neutron-") and "agent" in name)

# What counts its heartbeats in the database. A message to one that does not listen yet is lost, and
# whoever sent it waits for a minute.
BEATING = (
    *("nova-conductor", "nova-scheduler", "nova-compute", "cinder-scheduler", "cinder-volume"),
    *AGENTS,
)
BEATS = """
select s.binary, coalesce(max(s.report_count), 0) from nova.services s group by 1;
select s.binary, coalesce(max(s.report_count), 0) from cinder.services s group by 1;
select a.binary, cast(unix_timestamp(max(a.heartbeat_timestamp)) as integer)
    from neutron.agents a group by 1;
"""


def start_keystone(processes: Processes) -> None:
    """Start Keystone; return when it answers."""
    options = ["--processes", "2", "--threads", "2", "--thunder-lock"]
    _start_wsgi(
        processes, "keystone", "keystone.server.wsgi:initialize_public_application()", options
    )
    processes.wait_for("keystone", partial(speaks, PORTS["keystone"], "/v3"), 90)


def start(processes: Processes) -> None:
    """Start all others; return when all that have an address answer there."""
    options = ["--processes", "1", "--threads", "2"]
    _start_wsgi(processes, "placement", "placement.wsgi:init_application()", options)
    first = [name for name in PROGRAMS if name not in AGENTS and name != "nova-compute"]
    for name in first:
        _start(processes, name)
    for kind in STORES:
        processes.start(f"swift-{kind}", [f"swift-{kind}-server", f"{ETC}/swift/{kind}.conf", "-v"])
    processes.start("swift-proxy", ["swift-proxy-server", f"{ETC}/swift/proxy.conf", "-v"])
    hypervisor.await_libvirt(processes)
    # In libvirt's namespace: QEMU has to see the volumes that it mounts.
    _start(processes, "nova-compute", hypervisor.inside(processes))
    processes.wait_for("neutron-server", partial(speaks, PORTS["neutron"]), 180)
    for name in AGENTS:
        _start(processes, name)
    for name, port, path in (
        ("placement", "placement", "/"),
        ("glance-api", "glance", "/"),
        ("nova-api", "nova", "/"),
        ("cinder-api", "cinder", "/"),
        ("swift-proxy", "swift", "/healthcheck"),
    ):
        processes.wait_for(name, partial(speaks, PORTS[port], path), 120)


def beats() -> dict[str, int]:
    """Return how often each service has told that it lives, or when it last did."""
    rows = (line.split("\t") for line in sql(BEATS).splitlines())
    return {name: int(count) for name, count in rows}


def await_beats(processes: Processes, before: dict[str, int], new: set[str]) -> None:
    """Return when all services of `new` have told that they live since `before`."""
    for name in BEATING:
        if name in new:
            was = before.get(name, 0)
            processes.wait_for(name, lambda n=name, w=was: beats().get(n, 0) > w, 120)


def _start(processes: Processes, name: str, within: list[str] | None = None) -> None:
    entry_point, words = PROGRAMS[name]
    processes.start(name, [*(within or []), BIN / "osrun", name, entry_point, *words.split()])


def _start_wsgi(processes: Processes, name: str, module: str, options: list[str]) -> None:
    command = ["/usr/bin/uwsgi", "--plugin", "python3", "--master", "--die-on-term"]
    command += ["--http-socket", f"127.0.0.1:{PORTS[name]}", "--enable-threads", "--lazy-apps"]
    command += ["--need-app", "--socket-timeout", "60", "--add-header", "Connection: close"]
    command += ["--buffer-size", "65535", "--procname-prefix", f"{name} ", "--disable-logging"]
    processes.start(name, [*command, *options, "--module", module])
