"""What firewalls, networks, interfaces and balancers of AWS do beyond what all clouds do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.targets.aws import Way, way_to
from tests.targets.census import census, clients, gained
from tests.targets.proxy import lost, refused

from nimbi.driver.network import LoadBalancers
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.drivertest.conformance import fresh_name
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Conflict, Invalid, NotFound, QuotaExceeded
from nimbi.model.firewalls import (
    AddressSource,
    Firewall,
    GroupSource,
    NewFirewall,
    NewRule,
    PrefixListSource,
    Protocol,
)
from nimbi.model.load_balancers import Listener, ListenerProtocol, NewLoadBalancer
from nimbi.model.networks import NewNetwork, NewNetworkInterface, NewSubnet

SSH = NewRule(
    protocol=Protocol.TCP,
    port_from=22,
    port_to=22,
    sources=(AddressSource("10.0.0.0", 8),),
    description="from inside",
)
TCP = Listener(ListenerProtocol.TCP, 2222, 22)
HTTP = Listener(ListenerProtocol.HTTP, 80, 8080)

RULES = {
    "of ipv6": replace(SSH, sources=(AddressSource("2001:db8::", 32, "ipv6"),)),
    # moto forgets the descriptions of these.
    "of a prefix list": replace(
        SSH, sources=(PrefixListSource("pl-0123456789abcdef0"),), description=None
    ),
    "of anything": replace(SSH, protocol=Protocol.ANY, port_from=-1, port_to=-1),
    "of a kind of icmp": replace(SSH, protocol=Protocol.ICMP, port_from=8, port_to=0),
    "of icmpv6": replace(SSH, protocol=Protocol.ICMPV6, port_from=-1, port_to=-1),
    "out": replace(SSH, direction="egress"),
}


@pytest.fixture
async def firewall(cloud: Cloud) -> Firewall:
    return await cloud.firewalls.create(NewFirewall(name=fresh_name(), description="of a test"))


@pytest.fixture
async def way(moto: str) -> AsyncIterator[Way]:
    """Give the way to moto, on which faults can be set."""
    async with way_to(moto) as found:
        yield found


@pytest.fixture
async def spoilt(way: Way, tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give a login over that way."""
    settings = {"endpoint_url": way.url, "calls": {"backoff_s": 0.001}}
    async with opened(
        DRIVER, tmp_path, settings=settings, credentials=LOGIN, provider=REGION
    ) as cloud:
        yield cloud


@pytest.mark.parametrize("label", list(RULES))
async def test_every_kind_of_rule_is_kept_and_taken_away(
    cloud: Cloud, firewall: Firewall, label: str
) -> None:
    asked = RULES[label]
    told = await cloud.firewalls.create_rule(firewall.id, asked)
    (new,) = set(told.rules) - set(firewall.rules)
    for field in ("protocol", "port_from", "port_to", "sources", "direction", "description"):
        assert getattr(new, field) == getattr(asked, field), field
    await cloud.firewalls.destroy_rule(firewall.id, new.id)
    assert (await cloud.firewalls.get(firewall.id)).rules == firewall.rules


async def test_the_same_rule_has_the_same_id_in_every_look_and_firewall(
    cloud: Cloud, firewall: Firewall
) -> None:
    other = await cloud.firewalls.create(NewFirewall(name=fresh_name(), description="other"))
    one = await cloud.firewalls.create_rule(firewall.id, SSH)
    two = await cloud.firewalls.create_rule(other.id, SSH)
    assert {rule.id for rule in one.rules} == {rule.id for rule in two.rules}


async def test_a_new_firewall_lets_everything_out_and_tells_so(firewall: Firewall) -> None:
    (rule,) = firewall.rules
    assert (rule.direction, rule.protocol) == ("egress", Protocol.ANY)
    assert rule.sources == (AddressSource("0.0.0.0", 0),)


async def test_a_firewall_is_a_source_by_its_id_too(cloud: Cloud, firewall: Firewall) -> None:
    asked = replace(SSH, sources=(GroupSource(firewall.id),))
    told = await cloud.firewalls.create_rule(firewall.id, asked)
    sources = [rule.sources for rule in told.rules if rule.direction == "ingress"]
    assert sources == [(GroupSource(firewall.name, firewall.owner_id),)]


@pytest.mark.parametrize("name", ["sg-mine", "ends with a space ", "ümlaut", "a" * 256])
async def test_a_name_that_aws_would_change_or_refuse_is_invalid(cloud: Cloud, name: str) -> None:
    with pytest.raises(Invalid):
        await cloud.firewalls.create(NewFirewall(name=name, description="of a test"))


async def test_a_network_with_a_gateway_keeps_its_subnets(cloud: Cloud, moto: str) -> None:
    network = await cloud.networks.create(NewNetwork(address_block="10.9.0.0/16"))
    wish = NewSubnet(network_id=network.id, address_block="10.9.1.0/24")
    subnet = await cloud.subnets.create(wish)
    ec2 = clients(moto, REGION)["ec2"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network.id)
    with pytest.raises(Conflict):
        await cloud.networks.destroy(network.id)
    assert (await cloud.networks.get(network.id)).subnet_ids == (subnet.id,)


async def test_the_first_interface_of_an_instance_stays(cloud: Cloud, moto: str) -> None:
    ec2 = clients(moto, REGION)["ec2"]
    made = ec2.run_instances(ImageId="ami-a1000000a00000000", MinCount=1, MaxCount=1)
    first = made["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
    with pytest.raises(Conflict):
        await cloud.network_interfaces.destroy(first)


async def test_an_interface_that_cannot_be_attached_is_not_left(
    way: Way, spoilt: Cloud, moto: str
) -> None:
    ec2 = clients(moto, REGION)["ec2"]
    made = ec2.run_instances(ImageId="ami-a1000000a00000000", MinCount=1, MaxCount=1)
    instance = made["Instances"][0]
    before = census(clients(moto, REGION), with_snapshots=False)
    way.proxy.spoil("AttachNetworkInterface", refused(400, "AttachmentLimitExceeded"), None)
    wish = NewNetworkInterface(instance_id=instance["InstanceId"], subnet_id=instance["SubnetId"])
    with pytest.raises(QuotaExceeded):
        await spoilt.network_interfaces.create(wish)
    assert gained(before, census(clients(moto, REGION), with_snapshots=False)) == {}


@pytest.mark.parametrize("listener", [TCP, HTTP], ids=["tcp", "http"])
async def test_a_balancer_goes_with_all_its_parts(
    cloud: Cloud, moto: str, listener: Listener
) -> None:
    before = census(clients(moto, REGION), with_snapshots=False)
    wish = NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(listener,))
    balancer = await cloud.load_balancers.create(wish)
    kind = "network" if listener is TCP else "application"
    assert balancer.extra["Type"] == kind
    await cloud.load_balancers.destroy(balancer.id)
    assert census(clients(moto, REGION), with_snapshots=False) == before


@pytest.mark.parametrize(
    "action", ["CreateSecurityGroup", "CreateLoadBalancer", "CreateTargetGroup", "CreateListener"]
)
async def test_a_balancer_is_made_once_though_an_answer_was_lost(
    way: Way, spoilt: Cloud, moto: str, action: str
) -> None:
    before = census(clients(moto, REGION), with_snapshots=False)
    way.proxy.spoil(action, lost)
    wish = NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(HTTP,))
    balancer = await spoilt.load_balancers.create(wish)
    assert balancer.listeners == (HTTP,)
    assert len([each async for each in spoilt.each(LoadBalancers.page)]) == 1
    await spoilt.load_balancers.destroy(balancer.id)
    assert census(clients(moto, REGION), with_snapshots=False) == before


@pytest.mark.parametrize("action", ["CreateLoadBalancer", "CreateTargetGroup", "CreateListener"])
async def test_a_balancer_that_cannot_be_made_leaves_nothing(
    way: Way, spoilt: Cloud, moto: str, action: str
) -> None:
    before = census(clients(moto, REGION), with_snapshots=False)
    way.proxy.spoil(action, refused(400, "TooManyTargetGroups"), None)
    wish = NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(HTTP,))
    with pytest.raises(QuotaExceeded):
        await spoilt.load_balancers.create(wish)
    assert census(clients(moto, REGION), with_snapshots=False) == before


async def test_a_name_of_another_wish_is_a_conflict(cloud: Cloud) -> None:
    wish = NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(TCP,))
    await cloud.load_balancers.create(wish)
    with pytest.raises(Conflict):
        await cloud.load_balancers.create(wish)


async def test_the_health_of_members_is_told(cloud: Cloud, moto: str) -> None:
    ec2 = clients(moto, REGION)["ec2"]
    made = ec2.run_instances(ImageId="ami-a1000000a00000000", MinCount=1, MaxCount=1)
    id = made["Instances"][0]["InstanceId"]
    wish = NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(TCP,))
    balancer = await cloud.load_balancers.create(wish)
    told = await cloud.load_balancers.register(balancer.id, id)
    assert [(each.instance_id, each.healthy) for each in told.members] == [(id, True)]
    ec2.stop_instances(InstanceIds=[id])
    (member,) = (await cloud.load_balancers.get(balancer.id)).members
    assert member.healthy is None
    assert member.reason


async def test_a_protected_balancer_keeps_its_parts(cloud: Cloud, moto: str) -> None:
    wish = NewLoadBalancer(name=fresh_name(), realm_id=None, listeners=(TCP,))
    balancer = await cloud.load_balancers.create(wish)
    clients(moto, REGION)["elbv2"].modify_load_balancer_attributes(
        LoadBalancerArn=balancer.extra["LoadBalancerArn"],
        Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}],
    )
    with pytest.raises(Conflict):
        await cloud.load_balancers.destroy(balancer.id)
    assert (await cloud.load_balancers.get(balancer.id)).listeners == (TCP,)


async def test_an_unknown_balancer_is_not_found_whatever_is_left_of_others(cloud: Cloud) -> None:
    with pytest.raises(NotFound):
        await cloud.load_balancers.destroy("no-such-balancer")
