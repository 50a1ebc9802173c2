"""Zones and quotas: what a real cloud tells, and what one without some services does not."""

from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection
from tests.drivers.openstack.stand_in import LOGIN, PROJECT, fault, logged_in, standing_in
from tests.targets.openstack.projects import Project, quiet

from nimbi.driver.compute import Keys, Quotas, Realms
from nimbi.drivers.openstack.errors import OpenStackError, to_error
from nimbi.drivers.openstack.quotas import OpenStackQuotas
from nimbi.drivers.openstack.realms import OpenStackRealms
from nimbi.gateway.cloud import Cloud
from nimbi.model.errors import Forbidden, NotFound, QuotaExceeded
from nimbi.model.keys import NewKey
from nimbi.model.quotas import Quota, QuotaUnit
from nimbi.model.realms import RealmState

LIMITS = {
    "maxTotalInstances": 10,
    "totalInstancesUsed": 9,
    "maxTotalCores": 20,
    "totalCoresUsed": 9,
    "maxTotalRAMSize": -1,
    "totalRAMUsed": 99999,
    "maxServerMeta": 2,
    "maxTotalKeypairs": 1,
}


async def test_the_real_cloud_has_a_zone(cloud: Cloud) -> None:
    zones = [realm async for realm in cloud.each(Realms.page, limit=1)]
    assert [(zone.id, zone.state) for zone in zones] == [("nova", RealmState.AVAILABLE)]
    assert await cloud.realms.get("nova") == zones[0]
    with pytest.raises(NotFound):
        await cloud.realms.get("internal")


async def test_the_real_cloud_tells_the_same_quotas_as_its_own_tool(
    cloud: Cloud, project: Project, admin: Connection
) -> None:
    found = {quota.id: quota async for quota in cloud.each(Quotas.page, limit=3)}
    with quiet():
        compute = admin.get_compute_quotas(project.id)
        network = admin.get_network_quotas(project.id)
        volume = admin.get_volume_quotas(project.id)
    assert {name: found[name].limit for name in ("instances", "cpus", "memory", "keys")} == {
        "instances": compute.instances,
        "cpus": compute.cores,
        "memory": compute.ram,
        "keys": compute.key_pairs,
    }
    assert found["networks"].limit == network.networks
    assert found["routers"].used == 1
    assert found["volumes"].limit == volume.volumes
    assert found["volume_storage"].unit is QuotaUnit.GIB
    assert found["blob_storage"].limit is None
    assert await cloud.quotas.get("firewalls") == found["firewalls"]
    with pytest.raises(NotFound):
        await cloud.quotas.get("nothing")


async def test_the_real_nova_says_of_a_quota_what_it_says_of_a_role(
    cloud: Cloud, project: Project, admin: Connection
) -> None:
    with quiet():
        admin.set_compute_quotas(project.id, key_pairs=0)
    try:
        with pytest.raises(QuotaExceeded):
            await cloud.call(Keys.create, NewKey(name=f"{project.name}-over"))
    finally:
        with quiet():
            admin.set_compute_quotas(project.id, key_pairs=100)


async def test_a_zone_may_be_closed(tmp_path: Path) -> None:
    zones = [
        {"zoneName": "b", "zoneState": {"available": False}},
        {"zoneName": "a", "zoneState": {"available": True}},
        {"zoneName": "c", "zoneState": None},
    ]
    async with standing_in() as openstack, logged_in(openstack, tmp_path) as session:
        openstack.tell("GET /compute/v2.1/os-availability-zone", {"availabilityZoneInfo": zones})
        page = await OpenStackRealms(session).page(None, 2)
        assert [(zone.id, zone.state.value) for zone in page.items] == [
            ("a", "available"),
            ("b", "unavailable"),
        ]
        assert [zone.id for zone in (await OpenStackRealms(session).page(page.next, 2)).items] == [
            "c"
        ]


async def test_a_service_that_tells_no_quotas_has_none(tmp_path: Path) -> None:
    async with standing_in() as openstack:
        openstack.services = ("compute", "network", "load-balancer", "volumev3")
        async with logged_in(openstack, tmp_path) as session:
            openstack.tell("GET /compute/v2.1/limits", {"limits": {"absolute": LIMITS}})
            openstack.tell(f"GET /network/v2.0/quotas/{PROJECT}/details.json", 404)
            openstack.tell(
                f"GET /load-balancer/v2/lbaas/quotas/{PROJECT}",
                {"quota": {"load_balancer": 3, "pool": -1}},
            )
            openstack.tell(f"GET /volume/v3/{PROJECT}/limits", fault(403, "forbidden"))
            found = (await OpenStackQuotas(session).page(None, 100)).items
    told = {quota.id: (quota.used, quota.limit) for quota in found}
    assert told == {
        "instances": (9, 10),
        "cpus": (9, 20),
        "memory": (99999, None),
        "keys": (None, 1),
        "load_balancers": (None, 3),
        "pool": (None, None),
    }
    assert all(isinstance(quota, Quota) for quota in found)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/servers", {"server": {"flavorRef": "f", "min_count": 2}}, QuotaExceeded),
        ("/servers", {"server": {"flavorRef": "f"}}, Forbidden),
        ("/servers", {"server": {"flavorRef": "large"}}, QuotaExceeded),
        (
            "/servers",
            {"server": {"flavorRef": "f", "metadata": dict.fromkeys("abc")}},
            QuotaExceeded,
        ),
        ("/servers", {"server": {"flavorRef": "gone"}}, Forbidden),
        ("/servers/1/action", {"resize": {"flavorRef": "large"}}, QuotaExceeded),
        ("/servers/1/action", {"resize": {"flavorRef": "f"}}, Forbidden),
        ("/servers/1/action", {"os-stop": None}, Forbidden),
        ("/servers/1/metadata", {"metadata": dict.fromkeys("abc")}, QuotaExceeded),
        ("/os-keypairs", {"keypair": {"name": "k"}}, QuotaExceeded),
        ("/os-aggregates", {"aggregate": {}}, Forbidden),
    ],
)
async def test_a_refusal_of_nova_is_told_by_its_limits(
    path: str, body: Any, kind: type[Exception], tmp_path: Path
) -> None:
    async with standing_in() as openstack, logged_in(openstack, tmp_path, LOGIN) as session:
        compute = "/compute/v2.1"
        openstack.tell(f"POST {compute}{path}", fault(403, "forbidden"))
        openstack.tell(f"GET {compute}/limits", {"limits": {"absolute": LIMITS}})
        openstack.tell(f"GET {compute}/flavors/f", {"flavor": {"vcpus": 2, "ram": 4}})
        openstack.tell(f"GET {compute}/flavors/large", {"flavor": {"vcpus": 14, "ram": 4}})
        openstack.tell(f"GET {compute}/servers/1", {"server": {"flavor": {"vcpus": 2, "ram": 4}}})
        openstack.tell(f"GET {compute}/os-keypairs", {"keypairs": [{"keypair": {}}]})
        with pytest.raises(OpenStackError) as raised:
            await session.post("compute", path, body)
    assert type(to_error(raised.value)) is kind
