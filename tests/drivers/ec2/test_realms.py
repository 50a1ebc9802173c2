"""Realms are zones."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.drivers.ec2.conftest import LOGIN
from tests.drivers.ec2.services import Asked, failing, good, serving

from nimbi.drivers.ec2 import DRIVER
from nimbi.drivertest import opened
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Invalid, NotFound
from nimbi.model.realms import RealmState

ZONE = (
    "<item><zoneName>{0}</zoneName><zoneState>{1}</zoneState><regionName>us-west-2</regionName>"
    "<optInStatus>{2}</optInStatus><zoneType>{3}</zoneType></item>"
)
USUAL = ZONE.format("us-west-2b", "available", "opt-in-not-required", "availability-zone")
IMPAIRED = ZONE.format("us-west-2a", "impaired", "opt-in-not-required", "availability-zone")
LOCAL = ZONE.format("us-west-2-lax-1a", "available", "not-opted-in", "local-zone")


def zones(asked: Asked) -> web.Response:
    if "ZoneName.1" not in asked.form:
        return good(f"<availabilityZoneInfo>{USUAL}{IMPAIRED}</availabilityZoneInfo>")
    assert asked.form["AllAvailabilityZones"] == "true"
    if asked.form["ZoneName.1"] == "us-west-2-lax-1a":
        return good(f"<availabilityZoneInfo>{LOCAL}</availabilityZoneInfo>")
    return failing("InvalidParameterValue", 400, "Invalid availability zone")


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Cloud]:
    """Give a cloud whose zones are as above."""
    async with serving(zones) as aws:
        settings = {"endpoint_url": aws.url}
        async with opened(
            DRIVER, tmp_path, settings=settings, credentials=LOGIN, provider="us-west-2"
        ) as cloud:
            yield cloud


async def test_realms_are_the_zones_of_the_region(cloud: Cloud) -> None:
    page = await cloud.realms.page(None, 2)
    assert [realm.id for realm in page.items] == ["eu-west-1a", "eu-west-1b"]
    rest = await cloud.realms.page(page.next, 2)
    assert [realm.id for realm in rest.items] == ["eu-west-1c"]
    assert rest.next is None
    assert (await cloud.realms.get("eu-west-1b")).extra["regionName"] == "eu-west-1"


@pytest.mark.parametrize("id", ["eu-west-1z", "us-east-1a", "nothing", "a b", "ü", "-"])
async def test_an_unknown_zone_is_not_found(cloud: Cloud, id: str) -> None:
    with pytest.raises(NotFound):
        await cloud.realms.get(id)


async def test_a_zone_that_takes_no_instances_is_unavailable(told: Cloud) -> None:
    found = await told.realms.page(None, 10)
    states = {realm.id: realm.state for realm in found.items}
    assert states == {
        "us-west-2a": RealmState.UNAVAILABLE,
        "us-west-2b": RealmState.AVAILABLE,
    }


async def test_a_zone_that_was_not_asked_for_is_found_and_unavailable(told: Cloud) -> None:
    realm = await told.realms.get("us-west-2-lax-1a")
    assert realm.state is RealmState.UNAVAILABLE


async def test_aws_s_own_word_for_an_unknown_zone_is_not_found(told: Cloud) -> None:
    with pytest.raises(NotFound):
        await told.realms.get("us-west-2q")


@pytest.mark.parametrize("marker", ["x", "-1", "1.5", "٣", "9" * 30, ""])
async def test_a_marker_that_was_never_given_is_refused(told: Cloud, marker: str) -> None:
    with pytest.raises(Invalid):
        await told.realms.page(marker, 10)
