"""Answers of AWS that say the same as before, and are not read again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.drivers.ec2.conftest import LOGIN
from tests.drivers.ec2.services import Asked, Aws, serving

from nimbi.drivers.ec2 import DRIVER
from nimbi.drivers.ec2.login import AccessKey
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.errors import CloudError, CloudUnavailable

OTHER = AccessKey("AKIAOTHEROTHEROTHERX", "secret/of+the=other")

INSTANCE = """<item><instanceId>{id}</instanceId><imageId>ami-1</imageId>
<instanceState><name>running</name></instanceState><launchTime>2026-05-08T16:46:01.000Z</launchTime>
<tagSet><item><key>Name</key><value>{name}</value></item></tagSet></item>"""


class Told:
    """Answers to DescribeInstances: each with a request id of its own, `names` for each login."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        self.body: str | None = None
        self.count = 0

    def __call__(self, asked: Asked) -> web.Response:
        self.count += 1
        login = asked.request.headers["Authorization"]
        mine = next(names for user, names in self.names.items() if user in login)
        rows = "".join(INSTANCE.format(id=f"i-{at}", name=name) for at, name in enumerate(mine))
        head = f"<DescribeInstancesResponse><requestId>{self.count}-{self.count:04x}</requestId>"
        body = self.body or (
            f"{head}<reservationSet><item><ownerId>1</ownerId><instancesSet>{rows}</instancesSet>"
            "</item></reservationSet></DescribeInstancesResponse>"
        )
        return web.Response(text=body, content_type="text/xml")


@pytest.fixture
def told() -> Told:
    told = Told()
    told.names = {LOGIN.user: ("a", "b"), OTHER.user: ("a", "b")}
    return told


@pytest.fixture
async def aws(told: Told) -> AsyncIterator[Aws]:
    async with serving(told) as aws:
        yield aws


@pytest.fixture
async def clouds(aws: Aws, tmp_path: Path) -> AsyncIterator[Clouds]:
    settings = {"endpoint_url": aws.url, "calls": {"attempts": 1}}
    clouds = Clouds(Registry({DRIVER.name: DRIVER}), {DRIVER.name: settings}, tmp_path)
    yield clouds
    await clouds.aclose()


@pytest.fixture
async def cloud(clouds: Clouds) -> AsyncIterator[Cloud]:
    async with clouds.use(DRIVER.name, "eu-west-1", LOGIN) as cloud:
        yield cloud


async def names(cloud: Cloud) -> list[str | None]:
    return [instance.name for instance in (await cloud.instances.page(None, 100)).items]


async def test_the_same_answer_is_the_same_list_though_its_request_differs(
    cloud: Cloud, told: Told
) -> None:
    first = await cloud.instances.page(None, 100)
    again = await cloud.instances.page(None, 100)
    assert again.items is first.items
    assert told.count == 2


async def test_what_changed_is_told(cloud: Cloud, told: Told) -> None:
    assert await names(cloud) == ["a", "b"]
    told.names[LOGIN.user] = ("a", "c")
    assert await names(cloud) == ["a", "c"]
    told.names[LOGIN.user] = ()
    assert await names(cloud) == []
    told.names[LOGIN.user] = ("a", "b")
    assert await names(cloud) == ["a", "b"]


async def test_each_login_is_told_its_own(cloud: Cloud, clouds: Clouds, told: Told) -> None:
    told.names[OTHER.user] = ("mine",)
    async with clouds.use(DRIVER.name, "eu-west-1", OTHER) as other:
        for _ in range(2):
            assert await names(cloud) == ["a", "b"]
            assert await names(other) == ["mine"]


async def test_all_that_aws_said_of_an_instance_stays_to_be_had(cloud: Cloud) -> None:
    await cloud.instances.page(None, 100)
    found = (await cloud.instances.page(None, 100)).items
    assert [instance.extra["instanceId"] for instance in found] == ["i-0", "i-1"]
    assert found[1].extra["tagSet"] == [{"key": "Name", "value": "b"}]


@pytest.mark.parametrize("body", ["<DescribeInstancesResponse><requestId>1</requ", "\x00", " "])
async def test_an_answer_that_is_cut_short_is_an_error_each_time(
    cloud: Cloud, told: Told, body: str
) -> None:
    assert await names(cloud) == ["a", "b"]
    told.body = body
    for _ in range(2):
        with pytest.raises(CloudUnavailable):
            await names(cloud)
    told.body = None
    assert await names(cloud) == ["a", "b"]


async def test_an_error_is_never_taken_for_what_came_before(
    cloud: Cloud, aws: Aws, told: Told
) -> None:
    assert await names(cloud) == ["a", "b"]

    def failing(asked: Asked) -> web.Response:
        return web.Response(status=400, text=told(asked).text, content_type="text/xml")

    aws.handler = failing
    with pytest.raises(CloudError):
        await names(cloud)
