"""The driver against the conformance suite, with moto in the place of AWS."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from lxml import etree
from msgspec.structs import replace
from tests.drivers.ec2.answers import clouds, through
from tests.drivers.ec2.conftest import LOGIN, REGION
from tests.drivers.ec2.services import Asked, failing, serving
from tests.drivers.s3.gaps import gap
from tests.drivers.s3.listed import TellsLess
from tests.targets.moto import reset

from nimbi import drivertest as conformance
from nimbi.driver.compute import Images
from nimbi.driver.network import LoadBalancers
from nimbi.drivers.ec2 import DRIVER
from nimbi.drivers.ec2.login import AccessKey
from nimbi.drivertest.conformance import fresh_name
from nimbi.drivertest.creating import Wish
from nimbi.drivertest.logins import SECRET, Open
from nimbi.drivertest.tracking import Made
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid
from nimbi.model.images import ImageFilter, NewImage
from nimbi.model.instances import NewInstance
from nimbi.model.load_balancers import Listener, ListenerProtocol

# What moto does otherwise than AWS, by test; a part in brackets names one of its cases.
MOTO: dict[str, str] = {
    "TestSnapshots.test_every_reference_leads_to_a_thing": "it lists those of others as one's own",
    "TestVolumes.test_an_unknown_realm_is_refused[plain]": "it takes any name for that of a zone",
    "test_an_image_can_be_made_of_a_snapshot": "it forgets the architecture of such an image",
    "test_a_screenshot_is_a_png": "it has no GetConsoleScreenshot",
    "test_an_instance_is_in_the_subnet_that_was_asked": "cards of what is terminated stay",
    "TestFirewalls.test_a_firewall_with_an_instance_behind_it_stays": "it deletes it all the same",
    "TestAddresses.test_an_address_is_free_when_its_instance_is_gone": "it stays associated",
    "TestNetworkInterfaces.test_an_interface_does_not_point_at_a_destroyed_instance": (
        "it stays attached to what is terminated"
    ),
    "TestNetworkInterfaces.test_every_reference_leads_to_a_thing": (
        "interfaces stay attached to what is terminated"
    ),
    "TestFirewalls.test_a_rule_that_makes_no_sense_is_invalid[unknown prefix list]": (
        "it takes any id for that of a prefix list"
    ),
    "TestSubnets.test_a_subnet_with_an_interface_in_it_stays": "it deletes it all the same",
    "TestLoadBalancers.test_a_list_loses_and_doubles_nothing_while_things_come_and_go": (
        "it breaks at the marker of what is gone"
    ),
}


@pytest.fixture(autouse=True)
def _as_aws_does(request: pytest.FixtureRequest) -> None:
    """Skip what moto cannot do."""
    of = type(request.instance).__name__ if request.instance else ""
    for name in (request.node.name, request.node.originalname):
        if reason := MOTO.get(f"{of}.{name}") or MOTO.get(name):
            pytest.skip(f"moto: {reason}")
    if reason := gap(request.node.nodeid):
        pytest.skip(reason)


@pytest.fixture(scope="class", autouse=True)
def _anew(moto_server: str) -> None:
    """Empty the account for each class: moto takes a third of a second to make a region."""
    reset(moto_server)


@pytest.fixture
async def cloud(moto_server: str, tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give an account that others use, too.

    Lists of images show no public ones, since the suite wants a list to hold all of an owner.
    """
    settings = {"endpoint_url": moto_server, "public_images": []}
    async with conformance.opened(
        DRIVER, tmp_path, settings=settings, credentials=LOGIN, provider=REGION
    ) as cloud:
        yield cloud


class Launching:
    """Launches of an image of the account's own, on a small machine."""

    patience_s = 20.0

    @pytest.fixture
    async def new_instance(self, own_image: str) -> NewInstance:
        return NewInstance(image_id=own_image, hardware_profile_id="t3.micro")


@pytest.fixture
async def own_image(cloud: Cloud) -> str:
    """Return an image of the account's own, made when there is none."""
    wish = NewImage(name="the account's own", snapshot_id="snap-0123456789abcdef0")
    async for image in cloud.each(Images.page, where=ImageFilter(owner_id="self", name=wish.name)):
        return image.id
    return (await cloud.images.create(wish)).id


class TestDriver(Launching, conformance.ConformsToDriver):
    @pytest.fixture
    async def open_as(self, moto_server: str, tmp_path: Path) -> AsyncIterator[Open]:
        """Give a guard before moto, which lets everybody in."""
        async with through(moto_server) as passed:

            async def guarded(asked: Asked) -> web.StreamResponse:
                if f"Credential={LOGIN.user}/" in asked.request.headers["Authorization"]:
                    return await passed(asked)
                return failing("AuthFailure", 401)

            async with serving(guarded) as aws:
                settings = {"endpoint_url": aws.url}
                yield lambda credentials: conformance.opened(
                    DRIVER,
                    tmp_path / "another",
                    settings=settings,
                    credentials=credentials,
                    provider=REGION,
                )

    @pytest.fixture
    async def wrong_login(self) -> AccessKey:
        return AccessKey("AKIANOBODYNOBODYNOBO", SECRET)


class TestRealms(conformance.ConformsToRealms):
    pass


def thinned(answer: bytes) -> bytes:
    """Return a list of types with one of twenty."""
    root = etree.fromstring(answer)
    found = root.find("{*}instanceTypeSet")
    assert found is not None
    for at, item in enumerate(list(found)):
        if at % 20:
            found.remove(item)
    return etree.tostring(root)


@pytest.fixture(scope="module")
def types() -> dict[str, bytes]:
    """What moto says of all instance types, over which it thinks for seconds."""
    return {}


class TestHardwareProfiles(conformance.ConformsToHardwareProfiles):
    @pytest.fixture
    async def cloud(
        self, moto_server: str, tmp_path: Path, types: dict[str, bytes]
    ) -> AsyncIterator[Cloud]:
        async with through(moto_server) as passed:

            async def once(asked: Asked) -> web.StreamResponse:
                if "types" not in types:
                    answer = await passed(asked)
                    assert isinstance(answer, web.Response)
                    assert isinstance(answer.body, bytes)
                    types["types"] = thinned(answer.body)
                return web.Response(body=types["types"])

            async with clouds(once, tmp_path) as (cloud, _):
                yield cloud


@pytest.mark.usefixtures("own_image")
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


class TestNetworks(Launching, conformance.ConformsToNetworks):
    pass


class TestSubnets(Launching, conformance.ConformsToSubnets):
    pass


class TestNetworkInterfaces(Launching, conformance.ConformsToNetworkInterfaces):
    pass


class TestLoadBalancers(Launching, conformance.ConformsToLoadBalancers):
    async def test_listeners_are_kept(self, cloud: Cloud, made: Made, wish: Wish) -> None:
        """The suite wants HTTP and TCP at one balancer, which are two kinds of it in AWS."""
        for protocol in ListenerProtocol:
            listeners = (Listener(protocol, 80, 8080), Listener(protocol, 2222, 22))
            asked = replace(wish(), name=fresh_name(), listeners=listeners)
            new = await made.create(LoadBalancers, asked)
            assert set((await cloud.load_balancers.get(new.id)).listeners) == set(listeners)

    async def test_http_and_tcp_at_one_balancer_are_refused(self, cloud: Cloud, wish: Wish) -> None:
        listeners = tuple(
            Listener(protocol, 80 + n, 80) for n, protocol in enumerate(ListenerProtocol)
        )
        with pytest.raises(Invalid):
            await cloud.load_balancers.create(replace(wish(), listeners=listeners))


class TestVolumes(Launching, conformance.ConformsToVolumes):
    volume_kind = "gp3"


class TestSnapshots(Launching, conformance.ConformsToSnapshots):
    pass


# Blobs are those of the driver s3, whose tests run the suite on three stores.
class TestBuckets(TellsLess, conformance.ConformsToBuckets):
    pass


class TestMetrics(Launching, conformance.ConformsToMetrics):
    pass
