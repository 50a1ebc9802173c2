"""Keys: what is made once, although an answer was lost."""

from pathlib import Path
from typing import Any

import pytest
from tests.drivers.openstack.stand_in import StandIn, dropped, fault, standing_in
from tests.drivers.openstack.test_instances import COMPUTE, logged_in

from nimbi.drivertest.samples import PUBLIC_KEY
from nimbi.model.errors import Conflict
from nimbi.model.keys import NewKey

KEYS = f"{COMPUTE}/os-keypairs"


def pair(**more: Any) -> dict[str, Any]:
    return {"keypair": {"name": "k", "fingerprint": "aa", "public_key": PUBLIC_KEY, **more}}


def sent(cloud: StandIn, method: str) -> int:
    asked = [*cloud.requests(KEYS), *cloud.requests(f"{KEYS}/k")]
    return sum(each.method == method for each in asked)


async def test_a_key_of_which_nobody_knows_the_private_part_is_made_anew(tmp_path: Path) -> None:
    async with standing_in() as cloud:
        cloud.tell(f"GET {KEYS}/k", fault(404, "itemNotFound"), pair())
        cloud.tell(f"POST {KEYS}", dropped, pair(private_key="-----BEGIN"))
        cloud.tell(f"DELETE {KEYS}/k", 204)
        async with logged_in(cloud, tmp_path) as ours:
            key = await ours.keys.create(NewKey(name="k", token="a wish"))
        assert key.private_key == "-----BEGIN"
        assert (sent(cloud, "POST"), sent(cloud, "DELETE")) == (2, 1)


async def test_an_import_whose_answer_was_lost_is_found(tmp_path: Path) -> None:
    async with standing_in() as cloud:
        cloud.tell(f"GET {KEYS}/k", fault(404, "itemNotFound"), pair())
        cloud.tell(f"POST {KEYS}", dropped)
        async with logged_in(cloud, tmp_path) as ours:
            key = await ours.keys.create(NewKey(name="k", public_key=PUBLIC_KEY, token="a wish"))
        assert key.id == "k"
        assert sent(cloud, "POST") == 1


async def test_a_strangers_key_of_the_same_name_is_left_alone(tmp_path: Path) -> None:
    async with standing_in() as cloud:
        cloud.tell(f"GET {KEYS}/k", pair())
        async with logged_in(cloud, tmp_path) as ours:
            with pytest.raises(Conflict):
                await ours.keys.create(NewKey(name="k", token="a wish"))
        assert (sent(cloud, "POST"), sent(cloud, "DELETE")) == (0, 0)


async def test_nova_makes_keys_in_a_version_that_still_does(tmp_path: Path) -> None:
    async with standing_in() as cloud:
        versions = {"id": "v2.1", "version": "2.95", "min_version": "2.1", "status": "CURRENT"}
        cloud.tell(f"GET {COMPUTE}", {"version": versions})
        cloud.tell(f"GET {COMPUTE}/", {"version": versions})
        cloud.tell(f"GET {KEYS}/k", fault(404, "itemNotFound"), pair())
        cloud.tell(f"POST {KEYS}", pair(private_key="-----BEGIN"))
        async with logged_in(cloud, tmp_path) as ours:
            await ours.keys.create(NewKey(name="k"))
        (asked,) = [each for each in cloud.requests(KEYS) if each.method == "POST"]
        assert asked.headers["OpenStack-API-Version"] == "compute 2.91"
