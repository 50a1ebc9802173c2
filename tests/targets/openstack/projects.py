"""Projects of the cloud of the tests: each worker has its own, and sees nothing of the others."""

import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from openstack.connection import Connection
from tests.targets.openstack.settings import KEYSTONE, PASSWORD, PUBLIC_NETWORK, REGION

import openstack


@dataclass(frozen=True)
class Project:
    """A project and its only user, who has its name and the role `member`.

    `network_id` is of a network with one subnet, behind a router to the world outside; of one that
    is `outside`, it is the network `public` itself.
    """

    name: str
    id: str
    network_id: str
    subnet_id: str
    auth_url: str = KEYSTONE
    region: str = REGION
    password: str = PASSWORD

    @property
    def user(self) -> str:
        return self.name

    def connected(self) -> Connection:
        """Return an openstacksdk connection of its user; whoever asks closes it."""
        return connected(self.name)


def connected(name: str = "admin") -> Connection:
    """Return an openstacksdk connection to the project and as the user of one name."""
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=KEYSTONE,
        username=name,
        password=PASSWORD,
        project_name=name,
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=REGION,
    )


@contextmanager
def new_project(purpose: str, *, outside: bool = False) -> Iterator[Project]:
    """Make a project with a network; afterwards it is gone, with its guests and networks."""
    name = f"nimbi-{purpose}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    with quiet(), connected() as admin:
        made = _made(admin, name)
        shared = _let_outside(admin, made) if outside else None
    try:
        with quiet(), connected(name) as member:
            network = shared or _networked(member)
        yield Project(name, made, *network)
    finally:
        with quiet():
            _swept(name, made)


def _made(admin: Connection, name: str) -> str:
    identity = admin.identity
    project = identity.create_project(name=name, domain_id="default")
    user = identity.create_user(name=name, password=PASSWORD, domain_id="default")
    role = identity.find_role("member", ignore_missing=False)
    identity.assign_project_role_to_user(project, user, role)
    return str(project.id)


def _networked(member: Connection) -> tuple[str, str]:
    net = member.network
    network = net.create_network(name="home")
    subnet = net.create_subnet(network_id=network.id, ip_version=4, cidr="10.66.0.0/24")
    outside = net.find_network(PUBLIC_NETWORK, ignore_missing=False)
    router = net.create_router(name="home", external_gateway_info={"network_id": outside.id})
    net.add_interface_to_router(router, subnet_id=subnet.id)
    return network.id, subnet.id


def _let_outside(admin: Connection, project_id: str) -> tuple[str, str]:
    """Let a project put instances into `public`, as clouds do that have but one network."""
    network = admin.network.find_network(PUBLIC_NETWORK, ignore_missing=False)
    admin.network.create_rbac_policy(
        object_type="network",
        object_id=network.id,
        action="access_as_shared",
        target_project_id=project_id,
    )
    return network.id, network.subnet_ids[0]


def _swept(name: str, id: str) -> None:
    with connected(name) as member:
        _emptied(member)
    with connected() as admin:
        for policy in admin.network.rbac_policies(target_project_id=id):
            admin.network.delete_rbac_policy(policy)
        for group in admin.network.security_groups(project_id=id):
            admin.network.delete_security_group(group)
        admin.identity.delete_user(admin.identity.find_user(name, ignore_missing=False))
        admin.identity.delete_project(id)


def _emptied(member: Connection) -> None:
    """Remove guests and networks; what else tests make, they take down themselves."""
    servers = list(member.compute.servers())
    for server in servers:
        member.compute.delete_server(server)
    for server in servers:
        member.compute.wait_for_delete(server)
    net = member.network
    for address in net.ips():
        net.delete_ip(address)
    for router in net.routers():
        for port in net.ports(device_id=router.id):
            net.remove_interface_from_router(router, port_id=port.id)
        net.delete_router(router)
    for network in net.networks(project_id=member.current_project_id):
        net.delete_network(network)


@contextmanager
def quiet() -> Iterator[None]:
    """Let openstacksdk warn of its own future without failing a test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
