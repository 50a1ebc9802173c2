"""A private cloud's regions are its driver's providers, shown to whoever is logged in there."""

from pathlib import Path

import httpx
from tests.drivers.openstack.stand_in import standing_in

from nimbi.frontends.deltacloud.app import DeltacloudApp
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry

XML = {"Accept": "application/xml"}


async def test_a_driver_shows_the_regions_of_a_login(tmp_path: Path) -> None:
    registry = Registry()
    async with standing_in(regions=("east", "west")) as openstack:
        clouds = Clouds(registry, {}, tmp_path)
        app = DeltacloudApp(clouds, registry, "openstack", openstack.auth_url)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://nimbi") as client:
            login = ("me+mine", "a secret")
            shown = await client.get("/api/drivers/openstack", auth=login, headers=XML)
            stranger = await client.get("/api/drivers/openstack", headers=XML)
            other = await client.get("/api/drivers/mock", auth=login, headers=XML)
            openstack.refuses = True
            wrong = await client.get("/api/drivers/openstack", auth=("me", "x"), headers=XML)
        await clouds.aclose()
    for region in ("east", "west"):
        assert f"<provider id='{openstack.auth_url};{region}'>" in shown.text
    assert f"<entrypoint kind='compute'><![CDATA[{openstack.url}/compute/v2.1]]>" in shown.text
    for answer in (stranger, other, wrong):
        assert answer.status_code == 200
        assert openstack.url not in answer.text
