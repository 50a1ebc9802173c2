"""The dialect against the conformance suite: moto behind the paths and rules of Eucalyptus."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.drivers.s3.listed import TellsLess
from tests.targets.eucalyptus import Eucalyptus, cloud_before
from tests.targets.moto import reset
from tests.targets.proxy import lost

from nimbi import drivertest as conformance
from nimbi.driver.blobs import Buckets
from nimbi.driver.compute import Instances
from nimbi.driver.network import Addresses
from nimbi.drivers.ec2.login import AccessKey
from nimbi.drivers.eucalyptus import DRIVER
from nimbi.drivers.eucalyptus.places import urls_of
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.addresses import NewAddress
from nimbi.model.buckets import NewBucket
from nimbi.model.errors import Forbidden, Invalid, UnknownOutcome, Unsupported
from nimbi.model.firewalls import AddressSource, GroupSource, NewFirewall, NewRule, Protocol
from nimbi.model.instances import NewInstance

LOGIN = AccessKey("AKIATESTTESTTESTTEST", "secret/of+the=test")
REGION = "us-east-1"
# Of moto's own images, which is a machine.
IMAGE = "ami-a1000000a00000001"

MOTO = {
    "test_an_image_can_be_made_of_a_snapshot": "it forgets the architecture of such an image",
    "TestSnapshots.test_every_reference_leads_to_a_thing": "it lists those of others as one's own",
    "TestAddresses.test_an_address_is_free_when_its_instance_is_gone": "it stays associated",
    "TestVolumes.test_an_unknown_realm_is_refused[plain]": "it takes any name for that of a zone",
    "TestFirewalls.test_a_firewall_with_an_instance_behind_it_stays": "it deletes it all the same",
}


@pytest.fixture(autouse=True)
def _as_eucalyptus_does(request: pytest.FixtureRequest) -> None:
    """Skip what moto cannot do."""
    of = type(request.instance).__name__ if request.instance else ""
    for name in (request.node.name, request.node.originalname):
        if reason := MOTO.get(f"{of}.{name}") or MOTO.get(name):
            pytest.skip(f"moto: {reason}")


@pytest.fixture(scope="class", autouse=True)
def _anew(moto_server: str) -> None:
    """Empty the cloud for each class: moto takes a third of a second to make a region."""
    reset(moto_server)


@pytest.fixture
async def target(moto_server: str) -> AsyncIterator[tuple[str, Eucalyptus]]:
    """Give the host of a cloud, and the cloud."""
    async with cloud_before(moto_server) as found:
        yield found


@pytest.fixture
async def cloud(target: tuple[str, Eucalyptus], tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give a login, named as Deltacloud names it."""
    provider = f"ec2={target[0]};s3={target[0]}"
    async with conformance.opened(
        DRIVER, tmp_path, settings={"region": REGION}, credentials=LOGIN, provider=provider
    ) as cloud:
        yield cloud


class Launching:
    patience_s = 20.0

    @pytest.fixture
    async def new_instance(self) -> NewInstance:
        return NewInstance(image_id=IMAGE)


class TestRealms(conformance.ConformsToRealms):
    pass


class TestHardwareProfiles(conformance.ConformsToHardwareProfiles):
    pass


class TestImages(Launching, conformance.ConformsToImages):
    pass


class TestInstances(Launching, conformance.ConformsToInstances):
    pass


class TestKeys(conformance.ConformsToKeys):
    pass


class TestFirewalls(Launching, conformance.ConformsToFirewalls):
    pass


class TestAddresses(Launching, conformance.ConformsToAddresses):
    pass


class TestVolumes(Launching, conformance.ConformsToVolumes):
    pass


class TestSnapshots(Launching, conformance.ConformsToSnapshots):
    pass


class TestBuckets(TellsLess, conformance.ConformsToBuckets):
    pass


@pytest.mark.parametrize(
    ("provider", "urls"),
    [
        (
            "ec2=10.0.0.1;s3=10.0.0.2:80",
            {
                "ec2": "http://10.0.0.1:8773/services/Eucalyptus",
                "s3": "http://10.0.0.2:80/services/Walrus",
            },
        ),
        (" ec2 = [2001:db8::1] ; ", {"ec2": "http://[2001:db8::1]:8773/services/Eucalyptus"}),
        (
            "ec2=https://cloud.example/services/compute/",
            {"ec2": "https://cloud.example/services/compute"},
        ),
        ("s3=http://127.0.0.1:9/", {"s3": "http://127.0.0.1:9"}),
    ],
)
def test_a_provider_names_hosts_as_in_deltacloud(provider: str, urls: dict[str, str]) -> None:
    assert urls_of(provider) == urls


@pytest.mark.parametrize(
    "provider",
    [
        "",
        "eu-west-1",
        "ec2",
        "ec2=",
        "ec2=a;ec2=b",
        "sts=a",
        "ec2=a:0",
        "ec2=a:x",
        "ec2=ftp://a",
        "ec2=user:pw@a",
        "ec2=a b",
        "ec2=a?b",
        "ec2=[::",
    ],
)
def test_a_provider_that_names_no_hosts_is_invalid(provider: str) -> None:
    with pytest.raises(Invalid):
        urls_of(provider)


async def test_addresses_of_the_link_are_forbidden(tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        async with conformance.opened(
            DRIVER, tmp_path, credentials=LOGIN, provider="ec2=169.254.169.254:80"
        ):
            pass


async def test_a_provider_of_walrus_alone_has_blobs_alone(
    target: tuple[str, Eucalyptus], tmp_path: Path
) -> None:
    async with conformance.opened(
        DRIVER,
        tmp_path,
        settings={"region": REGION},
        credentials=LOGIN,
        provider=f"s3={target[0]}",
    ) as cloud:
        assert {id.partition(".")[0] for id in cloud.operations} == {"buckets", "blobs"}
        name = fresh_name()
        await cloud.buckets.create(NewBucket(name=name))
        assert [b.name async for b in cloud.each(Buckets.page)] == [name]


async def test_an_instance_is_named_by_a_call_of_its_own(
    cloud: Cloud, target: tuple[str, Eucalyptus], tmp_path: Path
) -> None:
    wish = NewInstance(image_id=IMAGE, name="web", hardware_profile_id="m1.large")
    made = await cloud.instances.create(wish)
    told = await cloud.instances.get(made.id)
    assert (told.name, told.hardware_profile_id) == ("web", "m1.large")
    assert [asked.action for asked in target[1].asked].count("CreateTags") == 1
    assert [i.id async for i in cloud.each(Instances.page)] == [made.id]
    await cloud.instances.destroy(made.id)


async def test_what_needs_networks_is_unsupported(cloud: Cloud) -> None:
    with pytest.raises(Unsupported):
        await cloud.instances.create(NewInstance(image_id=IMAGE, subnet_id="subnet-1"))
    lacking = {"networks", "subnets", "network_interfaces", "load_balancers", "metrics"}
    assert not lacking & {id.partition(".")[0] for id in cloud.operations}


async def test_a_group_is_a_source_by_its_name(
    cloud: Cloud, target: tuple[str, Eucalyptus]
) -> None:
    wall = await cloud.firewalls.create(NewFirewall(name="inner", description="of a test"))
    source = GroupSource(wall.name, wall.owner_id)
    rule = NewRule(protocol=Protocol.TCP, port_from=1, port_to=2, sources=(source,))
    told = await cloud.firewalls.create_rule(wall.id, rule)
    assert [each.sources for each in told.rules if each.direction == "ingress"] == [(source,)]
    asked = next(a for a in target[1].asked if a.action.startswith("Authorize"))
    assert asked.form["IpPermissions.1.Groups.1.GroupName"] == "inner"


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": Protocol.ANY, "port_from": -1, "port_to": -1},
        {"sources": (AddressSource("::", 0, "ipv6"),)},
    ],
)
async def test_rules_that_need_networks_are_invalid(
    cloud: Cloud, change: dict[str, object]
) -> None:
    wall = await cloud.firewalls.create(NewFirewall(name="wall", description="of a test"))
    net = (AddressSource("10.0.0.0", 8),)
    rule = NewRule(protocol=Protocol.TCP, port_from=22, port_to=22, sources=net)
    with pytest.raises(Invalid):
        await cloud.firewalls.create_rule(wall.id, replace(rule, **change))


async def test_an_address_whose_answer_was_lost_is_not_made_twice(
    cloud: Cloud, target: tuple[str, Eucalyptus], made: Made
) -> None:
    carry_out = target[1].carry_out

    async def losing(asked):
        return await (
            lost(asked, carry_out) if asked.action == "AllocateAddress" else carry_out(asked)
        )

    target[1].carry_out = losing
    with pytest.raises(UnknownOutcome):
        await cloud.addresses.create(NewAddress())
    target[1].carry_out = carry_out
    assert len([each async for each in cloud.each(Addresses.page)]) == 1


@pytest.fixture
async def made(cloud: Cloud) -> AsyncIterator[Made]:
    yield Made(cloud, 20.0)
