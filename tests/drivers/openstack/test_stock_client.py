"""The stock `openstack` command and Nimbi see the same things, whoever of them made them."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.targets.openstack.projects import Project

from nimbi.driver.blobs import Buckets
from nimbi.driver.compute import Instances, Keys
from nimbi.driver.network import Firewalls, Networks
from nimbi.driver.storage import Volumes
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.moves import rested
from nimbi.drivertest.samples import PUBLIC_KEY
from nimbi.drivertest.streams import read, write
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.buckets import NewBucket
from nimbi.model.firewalls import AddressSource, NewFirewall, NewRule, Protocol
from nimbi.model.instances import NewInstance
from nimbi.model.keys import NewKey
from nimbi.model.networks import NewNetwork, NewSubnet
from nimbi.model.volumes import NewVolume, VolumeState

PATIENCE_S = 240.0
Cli = Callable[..., Awaitable[Any]]


@pytest.fixture
def cli(project: Project) -> Cli:
    """Give what runs the stock command and returns what it tells, decoded."""
    program = shutil.which("openstack", path="/usr/bin")
    if program is None:
        pytest.skip("python3-openstackclient is not installed")
    login = {
        "OS_AUTH_URL": project.auth_url,
        "OS_REGION_NAME": project.region,
        "OS_USERNAME": project.user,
        "OS_PASSWORD": project.password,
        "OS_PROJECT_NAME": project.name,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **login}

    async def run(*words: str, told: bool = True) -> Any:
        pipe = asyncio.subprocess.PIPE
        form = ("-f", "json") if told else ()
        done = await asyncio.create_subprocess_exec(
            program, *words, *form, env=env, stdout=pipe, stderr=pipe
        )
        out, errors = await done.communicate()
        assert not done.returncode, errors.decode()
        return json.loads(out) if told else None

    return run


@pytest.fixture
async def made(cloud: Cloud) -> AsyncIterator[Made]:
    made = Made(cloud, PATIENCE_S)
    try:
        yield made
    finally:
        await made.clear()


async def test_the_command_sees_a_network_that_nimbi_made(
    cloud: Cloud, made: Made, cli: Cli
) -> None:
    network = await made.create(Networks, NewNetwork(name=fresh_name()))
    wish = NewSubnet(network_id=network.id, address_block="10.77.1.0/24", name="part")
    subnet = await cloud.subnets.create(wish)
    told = await cli("network", "show", network.name)
    assert (told["id"], told["subnets"]) == (network.id, [subnet.id])
    assert (await cli("subnet", "show", "part"))["cidr"] == "10.77.1.0/24"


async def test_the_command_sees_a_firewall_and_its_rule(cloud: Cloud, made: Made, cli: Cli) -> None:
    wall = await made.create(Firewalls, NewFirewall(name=fresh_name(), description="a test"))
    source = AddressSource("10.0.0.0", 8)
    rule = NewRule(protocol=Protocol.TCP, port_from=80, port_to=88, sources=(source,))
    await cloud.firewalls.create_rule(wall.id, rule)
    rules = await cli("security", "group", "rule", "list", wall.name, "--ingress")
    (told,) = [each for each in rules if each["IP Protocol"] == "tcp"]
    assert (told["Port Range"], told["IP Range"]) == ("80:88", "10.0.0.0/8")


async def test_the_command_sees_a_volume_and_an_instance(
    cloud: Cloud, made: Made, cli: Cli, project: Project, guest_id: str
) -> None:
    volume = await made.create(Volumes, NewVolume(size_gib=1, name=fresh_name()))
    await cloud.wait(Volumes.get, volume.id, until={VolumeState.AVAILABLE}, timeout_s=PATIENCE_S)
    told = await cli("volume", "show", volume.name)
    assert (told["id"], told["size"], told["status"]) == (volume.id, 1, "available")
    instance = await rested(cloud, guest_id, PATIENCE_S)
    told = await cli("server", "show", guest_id)
    assert told["name"] == instance.name
    addresses = {address for of in told["addresses"].values() for address in of}
    assert {endpoint.address for endpoint in instance.private_addresses} <= addresses


async def test_the_command_sees_an_instance_that_nimbi_made(
    made: Made, cli: Cli, project: Project, image_id: str, profile_id: str
) -> None:
    wish = NewInstance(
        image_id=image_id,
        hardware_profile_id=profile_id,
        network_ids=(project.network_id,),
        name=fresh_name(),
        tags={"owner": "me"},
    )
    new = await made.create(Instances, wish)
    told = await cli("server", "show", wish.name or "")
    assert told["id"] == new.id
    assert told["properties"]["owner"] == "me"


async def test_nimbi_sees_what_the_command_made(cloud: Cloud, made: Made, cli: Cli) -> None:
    name = fresh_name()
    network = await cli("network", "create", name)
    made.track(Networks, network["id"])
    assert (await cloud.networks.get(network["id"])).name == name
    wall = await cli("security", "group", "create", name, "--description", "of the command")
    made.track(Firewalls, wall["id"])
    rule = ("rule", "create", "--protocol", "udp", "--dst-port", "53:54", name)
    await cli("security", "group", *rule)
    found = await cloud.firewalls.get(wall["id"])
    assert (found.name, found.description) == (name, "of the command")
    (udp,) = [rule for rule in found.rules if rule.protocol is Protocol.UDP]
    assert (udp.port_from, udp.port_to) == (53, 54)
    volume = await cli("volume", "create", "--size", "1", name)
    made.track(Volumes, volume["id"])
    until = {VolumeState.AVAILABLE}
    seen = await cloud.wait(Volumes.get, volume["id"], until=until, timeout_s=PATIENCE_S)
    assert (seen.name, seen.size_gib) == (name, 1)


async def test_a_key_is_the_same_for_both(cloud: Cloud, made: Made, cli: Cli) -> None:
    key = await made.create(Keys, NewKey(name=fresh_name(), public_key=PUBLIC_KEY))
    told = await cli("keypair", "show", key.name)
    assert told["fingerprint"] == key.fingerprint


async def test_objects_go_both_ways(cloud: Cloud, made: Made, cli: Cli, tmp_path: Path) -> None:
    bucket = await made.create(Buckets, NewBucket(name=fresh_name()))
    await write(cloud, bucket.id, "by nimbi", b"content")
    (told,) = await cli("object", "list", bucket.id, "--long")
    assert (told["Name"], told["Bytes"]) == ("by nimbi", 7)
    source = tmp_path / "file"
    source.write_bytes(b"of the command")
    await cli("object", "create", bucket.id, str(source), "--name", "by the command")
    assert await read(cloud, bucket.id, "by the command") == b"of the command"
