"""Roots of services, by the catalogue and by what they say themselves; microversions."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.drivers.openstack.stand_in import LOGIN, PROJECT, fault, logged_in, standing_in

from nimbi.driver.interface import Account, Place
from nimbi.drivers.openstack.catalogue import Catalogue, Endpoint, Service, completed, split_version
from nimbi.drivers.openstack.errors import OpenStackError
from nimbi.drivers.openstack.microversions import Root, Version, chosen, headers, versions_in
from nimbi.drivers.openstack.session import Settings, open_session, start
from nimbi.model.errors import Unsupported
from nimbi.wire.http import Answer

SELF = {"rel": "self", "href": "http://inside:8774/v2.1/"}


@pytest.mark.parametrize(
    ("service", "url", "root"),
    [
        ("network", "http://h:9696", "http://h:9696/v2.0"),
        ("network", "http://h/network/v2.0", "http://h/network/v2.0"),
        ("image", "http://h/image", "http://h/image/v2"),
        ("identity", "http://h/identity", "http://h/identity/v3"),
        ("load-balancer", "http://h/load-balancer", "http://h/load-balancer/v2"),
        ("object-store", "http://h/v1/AUTH_x", "http://h/v1/AUTH_x"),
    ],
)
def test_a_url_without_a_version_gets_the_only_one(service: str, url: str, root: str) -> None:
    assert completed(service, url) == root


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://h:8776/v3/p", ("http://h:8776", "v3", "/p")),
        ("http://h/volume/v3", ("http://h/volume", "v3", "")),
        ("http://h/volume", ("http://h/volume", "", "")),
    ],
)
def test_a_version_is_found_in_a_url(url: str, parts: tuple[str, str, str]) -> None:
    assert split_version(url) == parts


def test_a_root_is_asked_for_by_its_path_only() -> None:
    versions = (
        Version(id="v2.0", status="SUPPORTED"),
        Version(id="v2.1", status="CURRENT", version="2.96", min_version="2.1"),
    )
    root = chosen("compute", "https://out.example/compute", versions)
    assert root == Root("https://out.example/compute/v2.1", (2, 1), (2, 96))
    assert root.best("compute") == "2.93"
    assert root.knows("2.96")
    assert not root.knows("2.97")


def test_a_path_of_a_proxy_is_kept() -> None:
    body = web.json_response({"versions": [{"id": "v2.1", "version": "2.1", "links": [SELF]}]}).body
    versions = versions_in(Answer(300, {}, bytes(body)))  # type: ignore[arg-type]
    root = chosen("compute", "https://out.example/compute", versions)
    assert root is not None
    assert root.url == "https://out.example/compute/v2.1"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html/>", b'{"versions": 1}', b'{"version"'])
def test_what_is_no_list_of_versions_tells_none(body: bytes) -> None:
    assert versions_in(Answer(200, {}, body)) == ()
    assert versions_in(Answer(404, {}, body)) == ()


def test_old_novas_have_a_header_of_their_own() -> None:
    assert headers("compute", "2.26")["X-OpenStack-Nova-API-Version"] == "2.26"
    assert headers("compute", "2.27") == {"OpenStack-API-Version": "compute 2.27"}


async def test_a_microversion_that_the_service_does_not_know_is_not_asked(tmp_path: Path) -> None:
    async with standing_in() as openstack, logged_in(openstack, tmp_path) as session:
        assert await session.supports("compute", "2.90")
        assert not await session.supports("compute", "2.91")
        assert not await session.supports("network", "2.0")
        with pytest.raises(Unsupported):
            await session.get("compute", "/servers", microversion="2.91")
        openstack.tell("GET /compute/v2.1/servers", {})
        await session.get("compute", "/servers", microversion="2.10")
        asked = openstack.requests("/compute/v2.1/servers")
    assert [each.headers["X-OpenStack-Nova-API-Version"] for each in asked] == ["2.10"]


async def test_versions_are_asked_for_once(tmp_path: Path) -> None:
    async with standing_in() as openstack:
        openstack.tell("GET /compute/v2.1/servers", {})
        for _ in range(2):
            async with logged_in(openstack, tmp_path) as session:
                await session.get("compute", "/servers")
                await session.get("compute", "/servers")
        assert len(openstack.requests("/compute/v2.1/")) == 2


@pytest.mark.parametrize("status", [300, 410])
async def test_a_version_that_is_gone_is_left_for_another(status: int, tmp_path: Path) -> None:
    async with standing_in() as openstack, logged_in(openstack, tmp_path) as session:
        there = {
            "versions": [
                {"id": "v3.0", "status": "DEPRECATED"},
                {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": "/v2/"}]},
            ]
        }
        openstack.tell("GET /volume/", web.json_response(there, status=300))
        openstack.tell(f"GET /volume/v3/{PROJECT}/volumes", status)
        openstack.tell(f"GET /volume/v2/{PROJECT}/volumes", {"volumes": [1]})
        assert await session.get("volume", "/volumes") == {"volumes": [1]}
        assert await session.get("volume", "/volumes") == {"volumes": [1]}
        assert len(openstack.requests(f"/volume/v3/{PROJECT}/volumes")) == 1


async def test_a_version_that_is_gone_without_another_is_unsupported(tmp_path: Path) -> None:
    async with standing_in() as openstack, logged_in(openstack, tmp_path) as session:
        openstack.tell("GET /compute/v2.1/os-networks", fault(410, "computeFault"))
        with pytest.raises(OpenStackError) as raised:
            await session.get("compute", "/os-networks")
        assert raised.value.status == 410


@pytest.mark.parametrize("path", ["/identity", "/identity/v2.0", "/identity/v3/", "/identity/v3"])
async def test_keystone_is_found_by_any_of_its_urls(path: str, tmp_path: Path) -> None:
    async with standing_in() as openstack, start(Settings(), Place(tmp_path)) as backend:
        versions: dict[str, Any] = {"versions": {"values": [{"id": "v3.14"}, {"id": "v2.0"}]}}
        openstack.tell("GET /identity/", web.json_response(versions, status=300))
        async with open_session(backend, Account(LOGIN, openstack.url + path)) as session:
            assert session.project_id == PROJECT


def test_the_best_type_of_a_service_counts() -> None:
    def service(type: str) -> Service:
        return Service(type, (Endpoint(f"http://{type}.example/"),))

    catalogue = Catalogue((service("volumev2"), service("volume"), service("volumev3")))
    assert catalogue.urls(None) == {"volume": "http://volumev3.example"}


def test_endpoints_that_are_none_are_left_out() -> None:
    endpoints = tuple(Endpoint(url) for url in ("ftp://x", "http://", "http://[", "//x"))
    assert Catalogue((Service("compute", endpoints),)).urls(None) == {}


def test_a_catalogue_without_regions_is_that_of_all() -> None:
    catalogue = Catalogue((Service("compute", (Endpoint("http://h"),)),))
    assert catalogue.regions() == ()
    assert catalogue.home() is None
    assert catalogue.urls("anywhere") == {"compute": "http://h"}


async def test_the_settings_stand_before_the_catalogue(tmp_path: Path) -> None:
    async with standing_in() as openstack:
        urls = {"network": f"{openstack.url}/elsewhere/"}
        openstack.tell("GET /elsewhere/v2.0/networks", {"networks": []})
        async with logged_in(openstack, tmp_path, endpoint_urls=urls) as session:
            await session.get("network", "/networks")
        async with logged_in(openstack, tmp_path, interface="internal") as session:
            assert await session.url("compute") == f"{openstack.url}/compute/v2.1"
