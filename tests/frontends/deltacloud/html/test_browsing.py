"""A person without JavaScript: every link is followed, every form is sent, as a browser would."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import html
from tests.frontends.deltacloud.html.documents import parsed, words

from nimbi.frontends.deltacloud.app import DeltacloudApp
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry

BASE = "http://cloud.example:3001"
BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Origin": BASE,
    "Sec-Fetch-Site": "same-origin",
}


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    registry = Registry()
    clouds = Clouds(registry, {}, tmp_path)
    app = DeltacloudApp(clouds, registry, "mock")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=BASE,
        auth=("mockuser", "mockpassword"),
        headers=BROWSER,
        follow_redirects=True,
    ) as client:
        yield client
    await clouds.aclose()


async def page(browser: httpx.AsyncClient, path: str) -> Any:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.text[:500])
    return parsed(answer.text)


async def send(browser: httpx.AsyncClient, form: Any, **filled: Any) -> httpx.Response:
    """Send a form as a browser does; `filled` are what the person typed, chose, or uploads."""
    uploads = {name: value for name, value in filled.items() if isinstance(value, tuple)}
    # A browser drops the line end that a template puts behind the tag of a text area.
    values = {name: value.removeprefix("\n") for name, value in form.form_values()} | {
        name: value for name, value in filled.items() if name not in uploads
    }
    assert set(filled) <= set(form.fields), "the person fills in only what the form has"
    for name in uploads:
        values.pop(name, None)
    return await browser.request(form.method, form.action, data=values, files=uploads or None)


def form_of(root: Any, button: str) -> Any:
    """Return the form whose button says so."""
    found = [f for f in root.forms if button in " ".join(f.text_content().split())]
    assert len(found) == 1, [" ".join(f.text_content().split()) for f in root.forms]
    return found[0]


@pytest.mark.parametrize("start", ["/", "/api;driver=mock"])
async def test_every_link_leads_somewhere(browser: httpx.AsyncClient, start: str) -> None:
    waiting, seen = [start], {start}
    while waiting:
        path = waiting.pop()
        answer = await browser.get(path)
        assert answer.status_code == 200, (path, answer.text[:500])
        if answer.headers["content-type"] != "text/html" or path.endswith("/content"):
            continue
        root = html.document_fromstring(answer.text)
        found = {str(t).partition("#")[0] for t in root.xpath("//a/@href | //@src | //link/@href")}
        new = {target for target in found if target and target not in seen}
        seen |= new
        waiting += sorted(new)
    assert len(seen) > 150
    if "driver" in start:
        lost = [path for path in seen if path.startswith("/api") and ";driver=mock" not in path]
        assert lost == []


async def test_an_instance_is_started_stopped_and_destroyed_by_hand(
    browser: httpx.AsyncClient,
) -> None:
    root = await page(browser, "/api/instances/new?image_id=img2")
    made = await send(browser, form_of(root, "Start instance"), name="by-hand", keyname="test-key")
    assert made.status_code == 201, made.text
    root = parsed(made.text)
    assert "by-hand" in words(root)
    here = made.headers["location"]
    answer = await send(browser, form_of(root, "Stop"))
    assert answer.is_success
    root = await page(browser, here)
    assert root.xpath("//span[contains(@class, 'state')]/text()") == ["STOPPED"]
    answer = await send(browser, form_of(root, "Destroy"))
    assert answer.status_code == 200
    assert "by-hand" not in answer.text


async def test_a_file_is_uploaded_described_and_destroyed_by_hand(
    browser: httpx.AsyncClient,
) -> None:
    root = await page(browser, "/api/buckets/new")
    made = await send(browser, form_of(root, "Make bucket"), name="by-hand")
    assert made.status_code == 201, made.text
    stored = await send(
        browser,
        form_of(parsed(made.text), "Upload"),
        blob_id="a & b.txt",
        meta_name1="author",
        meta_value1="me",
        blob_data=("a.txt", b"hello", "text/plain"),
    )
    assert stored.status_code == 201, stored.text
    root = parsed(stored.text)
    changed = await send(browser, form_of(root, "Save metadata"), meta_value1="you")
    assert changed.status_code == 200, changed.text
    root = parsed(changed.text)
    assert "author you" in words(root.xpath("//section")[0])
    (download,) = root.xpath("//a[starts-with(text(), 'Download')]/@href")
    assert (await browser.get(download)).content == b"hello"
    answer = await send(browser, form_of(root, "Destroy"))
    assert answer.status_code == 200
    bucket = parsed(answer.text)
    assert (await send(browser, form_of(bucket, "Destroy"))).status_code == 200


async def test_a_firewall_gets_a_rule_and_loses_it_by_hand(browser: httpx.AsyncClient) -> None:
    root = await page(browser, "/api/firewalls/new")
    made = await send(browser, form_of(root, "Make firewall"), name="web", description="Web")
    assert made.status_code == 201, made.text
    ruled = await send(
        browser,
        form_of(parsed(made.text), "Add rule"),
        protocol="tcp",
        port_from="80",
        port_to="443",
        ip_address1="0.0.0.0/0",
    )
    assert ruled.is_success, ruled.text
    root = await page(browser, made.headers["location"])
    assert "tcp 80 to 443 0.0.0.0/0" in words(root)
    (rule,) = [f for f in root.forms if f.action.count("/") == 4 and "Destroy" in words(f)]
    assert (await send(browser, rule)).is_success
    assert "No rule yet" in words(await page(browser, made.headers["location"]))


async def test_a_volume_is_made_attached_and_detached_by_hand(browser: httpx.AsyncClient) -> None:
    root = await page(browser, "/api/storage_volumes/new")
    made = await send(browser, form_of(root, "Make volume"), capacity="2")
    assert made.status_code == 201, made.text
    (attach,) = parsed(made.text).xpath("//a[starts-with(text(), 'Attach')]/@href")
    root = await page(browser, attach)
    attached = await send(browser, form_of(root, "Attach"), instance_id="inst1", device="/dev/sdx")
    assert attached.status_code == 200, attached.text
    detached = await send(browser, form_of(parsed(attached.text), "Detach"))
    assert detached.status_code == 200
    assert "AVAILABLE" in detached.text


async def test_an_address_is_had_associated_and_given_back_by_hand(
    browser: httpx.AsyncClient,
) -> None:
    made = await send(browser, form_of(await page(browser, "/api/addresses"), "New address"))
    assert made.status_code == 201, made.text
    (associate,) = parsed(made.text).xpath("//a[starts-with(text(), 'Associate')]/@href")
    root = await page(browser, associate)
    joined = await send(browser, form_of(root, "Associate"), instance_id="inst1")
    assert joined.is_success, joined.text
    root = await page(browser, made.headers["location"])
    assert "inst1" in words(root)
    assert (await send(browser, form_of(root, "Disassociate"))).is_success
    root = await page(browser, made.headers["location"])
    assert (await send(browser, form_of(root, "Destroy"))).is_success


@pytest.mark.parametrize(
    ("path", "button", "filled"),
    [
        ("/api/keys/new", "Make key", {"name": "by-hand"}),
        ("/api/images/new?instance_id=inst1", "Make image", {"name": "by-hand"}),
        ("/api/storage_snapshots/new?volume_id=vol1", "Take snapshot", {}),
        ("/api/networks/new", "Make network", {"name": "n", "address_block": "172.16.0.0/16"}),
        ("/api/subnets/new?network_id=net1", "Make subnet", {"address_block": "192.168.9.0/24"}),
        (
            "/api/network_interfaces/new",
            "Make network interface",
            {"instance": "inst1", "network": "net1"},
        ),
        (
            "/api/load_balancers/new",
            "Make load balancer",
            {"name": "lb", "listener_balancer_port": "80", "listener_instance_port": "8080"},
        ),
    ],
)
async def test_a_form_makes_what_it_says(
    browser: httpx.AsyncClient, path: str, button: str, filled: dict[str, str]
) -> None:
    made = await send(browser, form_of(await page(browser, path), button), **filled)
    assert made.status_code in {200, 201}, made.text
    parsed(made.text)


async def test_an_instance_comes_and_goes_behind_a_load_balancer_by_hand(
    browser: httpx.AsyncClient,
) -> None:
    root = await page(browser, "/api/load_balancers/new")
    ports = {"listener_balancer_port": "80", "listener_instance_port": "8080"}
    made = await send(browser, form_of(root, "Make load balancer"), name="lb", **ports)
    registered = await send(browser, form_of(parsed(made.text), "Register"), instance_id="inst1")
    assert registered.is_success, registered.text
    root = await page(browser, made.headers["location"])
    assert (await send(browser, form_of(root, "Unregister"))).is_success
    assert "No instance is registered" in words(await page(browser, made.headers["location"]))


async def test_driver_and_provider_are_chosen_by_hand(browser: httpx.AsyncClient) -> None:
    root = await page(browser, "/api")
    chosen = await send(browser, form_of(root, "Use this driver"), driver="mock")
    assert str(chosen.url) == f"{BASE}/api;driver=mock"
    assert form_of(parsed(chosen.text), "Use this driver").action == "/api;driver=mock"


async def test_other_formats_keep_the_filter(browser: httpx.AsyncClient) -> None:
    root = await page(browser, "/api/instances?realm_id=eu")
    (href,) = root.xpath("//footer//a[text()='JSON']/@href")
    answer = await browser.get(href)
    assert [member["id"] for member in answer.json()["instances"]] == ["inst3"]


async def test_a_form_of_a_foreign_page_is_refused(browser: httpx.AsyncClient) -> None:
    told = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await browser.post("/api/instances/inst1/stop", headers=told)
    assert answer.status_code == 403
    root = await page(browser, "/api/instances/inst1")
    assert root.xpath("//span[contains(@class, 'state')]/text()") == ["RUNNING"]


async def test_pages_come_with_the_content_policy(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/api")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
