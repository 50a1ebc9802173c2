"""Paused instances, of which this API knows nothing: they are shown as stopped."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.frontends.deltacloud.conftest import HOST, LOGIN, Client

from nimbi.driver.interface import UserAndPassword
from nimbi.drivers.mock import DRIVER
from nimbi.frontends.deltacloud.app import DeltacloudApp
from nimbi.frontends.deltacloud.states import NAMES, on_wire
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.instances import InstanceState


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a cloud whose instance inst1 is paused."""
    registry = Registry({"mock": DRIVER})
    clouds = Clouds(registry, {}, tmp_path)
    async with clouds.use("mock", None, UserAndPassword(*LOGIN)) as cloud:
        await cloud.instances.pause("inst1")
    app = DeltacloudApp(clouds, registry, "mock")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=HOST, auth=LOGIN) as http:
        http.headers.clear()
        yield Client(http, app)
    await clouds.aclose()


async def test_a_paused_instance_is_shown_as_stopped_with_what_may_be_done(api: Client) -> None:
    shown = await api.xml("GET", "/api/instances/inst1")
    assert shown.findtext("state") == "STOPPED"
    links = [link.get("rel") for link in shown.iterfind("actions/link")]
    assert links == ["start", "destroy", "run", "create_image"]
    told = (await api.json("GET", "/api/instances/inst1"))["instance"]
    assert (told["state"], [a["rel"] for a in told["actions"]]) == ("STOPPED", links)


async def test_a_page_offers_no_button_that_leads_nowhere(api: Client) -> None:
    page = (await api("GET", "/api/instances/inst1", "text/html")).text
    assert "/instances/inst1/start" in page
    assert not any(verb in page for verb in ("PAUSED", "/pause", "/resume", "/resize", "/reboot"))


async def test_the_filter_of_states_takes_the_word_that_is_shown(api: Client) -> None:
    for state, found in (("STOPPED", ["inst1"]), ("PAUSED", [])):
        listed = await api.xml("GET", f"/api/instances?state={state}")
        assert [i.get("id") for i in listed.iterfind("instance")] == found


@pytest.mark.parametrize(
    ("verb", "after"), [("start", "RUNNING"), ("stop", "STOPPED"), ("destroy", None)]
)
async def test_what_clients_do_with_a_paused_instance_works(
    api: Client, verb: str, after: str | None
) -> None:
    path = "/api/instances/inst1"
    method = ("DELETE", path) if verb == "destroy" else ("POST", f"{path}/{verb}")
    assert (await api(*method, "application/xml")).status_code < 300
    left = await api("GET", path, "application/json")
    if after is None:
        assert left.status_code == 404
    else:
        assert left.json()["instance"]["state"] == after


async def test_a_reboot_of_a_paused_instance_is_refused(api: Client) -> None:
    answer = await api("POST", "/api/instances/inst1/reboot", "application/xml")
    assert answer.status_code in {405, 409}


def test_the_state_machine_has_only_what_clients_know() -> None:
    machine = on_wire(DRIVER.instance_states)
    assert InstanceState.PAUSED not in machine.states
    assert {t.by for t in machine.transitions} == {
        "create", "reboot", "stop", "start", "destroy", None,
    }  # fmt: skip


def test_every_state_has_a_name() -> None:
    assert NAMES.keys() == set(InstanceState)
    assert NAMES[InstanceState.PAUSED] == "STOPPED"
