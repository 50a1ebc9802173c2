"""What is in the cloud from its start: users, endpoints, flavours, the image, the network outside.

Run by Debian's Python, which has openstacksdk when the services are installed.
"""

import time
from pathlib import Path

from openstack.connection import Connection
from tests.targets.openstack.processes import Failed
from tests.targets.openstack.services import BEATING
from tests.targets.openstack.settings import (
    KEYSTONE,
    PASSWORD,
    PORTS,
    PUBLIC_BLOCK,
    PUBLIC_NETWORK,
    REGION,
    VOLUME_KIND,
)

import openstack

ROLES = ("admin", "member", "reader", "service", "ResellerAdmin")
# By service: its type, and where it is.
SERVICES = {
    "placement": ("placement", f"http://127.0.0.1:{PORTS['placement']}"),
    "glance": ("image", f"http://127.0.0.1:{PORTS['glance']}"),
    "nova": ("compute", f"http://127.0.0.1:{PORTS['nova']}/v2.1"),
    "neutron": ("network", f"http://127.0.0.1:{PORTS['neutron']}"),
    "cinder": ("volumev3", f"http://127.0.0.1:{PORTS['cinder']}/v3/%(project_id)s"),
    "swift": ("object-store", f"http://127.0.0.1:{PORTS['swift']}/v1/AUTH_%(project_id)s"),
}
# Memory in MiB, and disk in GiB; one processor each. Their ids count from 1.
FLAVOURS = {"m1.nano": (128, 1), "m1.micro": (192, 1), "m1.tiny": (512, 1), "m1.small": (2048, 20)}
IMAGE = "tiny"
PATIENCE_S = 180.0


def connected() -> Connection:
    """Return a connection of the operator's."""
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=KEYSTONE,
        username="admin",
        password=PASSWORD,
        project_name="admin",
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=REGION,
    )


def fill_keystone() -> None:
    """Make the services' users and endpoints, and the tenant `demo`."""
    identity = connected().identity
    roles = {role.name: role for role in identity.roles()}
    roles |= {name: identity.create_role(name=name) for name in ROLES if name not in roles}
    projects = {
        name: identity.create_project(name=name, domain_id="default")
        for name in ("service", "demo")
    }

    def user(name: str, project: str, *granted: str) -> None:
        made = identity.create_user(name=name, password=PASSWORD, domain_id="default")
        for role in granted:
            identity.assign_project_role_to_user(projects[project], made, roles[role])

    for name, (kind, url) in SERVICES.items():
        service = identity.create_service(name=name, type=kind)
        for face in ("public", "internal", "admin"):
            identity.create_endpoint(
                service_id=service.id, interface=face, url=url, region_id=REGION
            )
        further = ("ResellerAdmin",) if name == "swift" else ()
        user(name, "service", "admin", "service", *further)
    user("demo", "demo", "member")


def fill(image: Path) -> None:
    """Make the rest, as far as it is not there; return when the schedulers see a hypervisor."""
    cloud = connected()
    _await_services(cloud)
    _make_flavours(cloud)
    if IMAGE not in {found.name for found in cloud.image.images()}:
        cloud.create_image(
            IMAGE,
            filename=str(image),
            disk_format="qcow2",
            container_format="bare",
            visibility="public",
            min_disk=1,
            min_ram=64,
            wait=True,
        )
    if VOLUME_KIND not in {kind.name for kind in cloud.block_storage.types()}:
        cloud.block_storage.create_type(name=VOLUME_KIND)
    if not cloud.network.find_network(PUBLIC_NETWORK, ignore_missing=True):
        _make_outside(cloud)


def _await_services(cloud: Connection) -> None:
    until = time.monotonic() + PATIENCE_S
    while missing := _missing(cloud):
        if time.monotonic() > until:
            raise Failed(f"not up after {PATIENCE_S:.0f} s: {', '.join(sorted(missing))}")
        time.sleep(1)


def _missing(cloud: Connection) -> set[str]:
    up = {service.binary for service in cloud.compute.services() if service.state == "up"}
    up |= {agent.binary for agent in cloud.network.agents() if agent.is_alive}
    told = cloud.block_storage.get("/os-services").json()["services"]
    up |= {service["binary"] for service in told if service["state"] == "up"}
    return set(BEATING) - up


def _make_flavours(cloud: Connection) -> None:
    there = {flavour.name for flavour in cloud.compute.flavors()}
    for id, (name, (memory_mib, disk_gib)) in enumerate(FLAVOURS.items(), 1):
        if name not in there:
            cloud.compute.create_flavor(
                id=str(id), name=name, ram=memory_mib, vcpus=1, disk=disk_gib
            )


def _make_outside(cloud: Connection) -> None:
    network = cloud.network.create_network(
        name=PUBLIC_NETWORK,
        provider_network_type="flat",
        provider_physical_network="public",
        is_router_external=True,
    )
    cloud.network.create_subnet(
        name=PUBLIC_NETWORK,
        network_id=network.id,
        ip_version=4,
        cidr=f"{PUBLIC_BLOCK}.0/24",
        gateway_ip=f"{PUBLIC_BLOCK}.1",
        allocation_pools=[{"start": f"{PUBLIC_BLOCK}.10", "end": f"{PUBLIC_BLOCK}.250"}],
    )


def await_hypervisor() -> None:
    """Return when Nova has a hypervisor to put guests on."""
    cloud = connected()
    until = time.monotonic() + PATIENCE_S
    while not any(found.state == "up" for found in cloud.compute.hypervisors()):
        if time.monotonic() > until:
            raise Failed("Nova sees no hypervisor")
        time.sleep(1)
