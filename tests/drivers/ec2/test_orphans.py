"""What AWS shows of requests whose answers nobody got."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.broker.sites import Site, open_site, soon

from nimbi.driver.compute import Instances
from nimbi.driver.storage import Volumes
from nimbi.drivers.ec2 import DRIVER
from nimbi.model.accounts import NewAccount
from nimbi.model.errors import NotFound
from nimbi.model.instances import NewInstance
from nimbi.model.volumes import NewVolume

LOGIN = {"user": "AKIATESTTESTTESTTEST", "password": "secret/of+the=test"}
IMAGE = "ami-a1000000a00000000"
TOKEN = "the token of a request that died"


@pytest.fixture
async def aws(moto: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a broker with one account, `aws`, for which moto stands in."""
    url, settings = f"sqlite:///{tmp_path}/nimbi.db", {"ec2": {"endpoint_url": moto}}
    async with open_site(url, tmp_path, upgrade=True, settings=settings) as site:
        site.registry.add(DRIVER)
        new = NewAccount(id="aws", driver="ec2", provider="eu-west-1", credentials=LOGIN)
        await site.accounts.create(new, test=False)
        yield site


async def test_all_that_lost_requests_made_is_found_and_can_be_removed(aws: Site) -> None:
    for operation in ("instances.create_many", "volumes.create"):
        now, token = datetime.now(UTC), f"{operation}: {TOKEN}"
        await aws.intents.write("aws", token, operation, now, holder="died", seconds=0)
    async with aws.cloud("aws") as cloud:
        await cloud.call(Volumes.create, NewVolume(size_gib=1, realm_id="eu-west-1a"))
        token = f"instances.create_many: {TOKEN}"
        pair = NewInstance(image_id=IMAGE, hardware_profile_id="t3.micro", token=token)
        made = await cloud.call(Instances.create_many, pair, 2)
        token = f"volumes.create: {TOKEN}"
        wish = NewVolume(size_gib=1, realm_id="eu-west-1a", token=token)
        volume = await cloud.call(Volumes.create, wish)
    lost = {*(one.id for one in made), volume.id}

    async def are_found() -> bool:
        return {orphan.id for orphan in await aws.orphans.list()} == lost

    async with aws.inventory.polling():
        await soon(are_found)
    await aws.orphans.remove("aws", "volumes", volume.id)
    async with aws.cloud("aws") as cloud:
        with pytest.raises(NotFound):
            await cloud.call(Volumes.get, volume.id)
