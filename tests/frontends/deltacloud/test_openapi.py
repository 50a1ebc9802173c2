"""The OpenAPI document: what it says, for whom, and that logins are asked for where it says so."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.frontends.deltacloud.conftest import Client

from nimbi.driver.capabilities import supported
from nimbi.drivers.mock import DRIVER
from nimbi.frontends.deltacloud import openapi
from nimbi.frontends.deltacloud.routes.table import ROUTES

FORM = "application/x-www-form-urlencoded"

Json = dict[str, Any]

# What an operation needs to be told before it asks who is there.
GIVEN: dict[str, dict[str, str]] = {
    "addresses_associate": {"instance_id": "x"},
    "blobs_create": {"blob_id": "x", "blob_data": "x"},
    "buckets_create": {"name": "x"},
    "firewalls_create": {"name": "x", "description": "x"},
    "firewalls_rules": {
        "protocol": "tcp",
        "port_from": "1",
        "port_to": "1",
        "ip_address1": "10.0.0.0/8",
    },
    "images_create": {"instance_id": "x"},
    "instances_create": {"image_id": "x"},
    "instances_run": {"cmd": "x", "password": "x"},
    "keys_create": {"name": "x"},
    "load_balancers_create": {
        "name": "x",
        "realm_id": "x",
        "listener_protocol": "tcp",
        "listener_balancer_port": "1",
        "listener_instance_port": "1",
    },
    "load_balancers_register": {"instance_id": "x"},
    "load_balancers_unregister": {"instance_id": "x"},
    "network_interfaces_create": {"instance": "x", "network": "x"},
    "storage_snapshots_create": {"volume_id": "x"},
    "storage_volumes_attach": {"instance_id": "x", "device": "x"},
    "subnets_create": {"network_id": "x", "address_block": "10.0.0.0/8"},
}


@pytest.fixture
def document() -> Json:
    return openapi.document(ROUTES, DRIVER, supported(DRIVER), "http://h/api")


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the operations with their verbs and paths."""
    for path, verbs in document["paths"].items():
        for verb, told in verbs.items():
            yield verb, path, told


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_each_operation_has_an_id_of_its_own(document: Json) -> None:
    ids = [told["operationId"] for _, _, told in operations(document)]
    assert len(ids) == len(set(ids))
    assert {"api_index", "instances_create", "buckets_show", "blobs_create"} <= set(ids)


def test_each_name_in_a_path_is_a_parameter_and_no_other(document: Json) -> None:
    for _, path, told in operations(document):
        named = [p["name"] for p in told["parameters"] if p["in"] == "path"]
        assert named == re.findall(r"{(\w+)}", path), path


def test_no_two_paths_differ_in_names_alone(document: Json) -> None:
    shapes = [re.sub(r"{\w+}", "{}", path) for path in document["paths"]]
    assert len(shapes) == len(set(shapes))


def test_all_that_is_referred_to_is_there(document: Json) -> None:
    for reference in references(document):
        _, _, kind, name = reference.split("/")
        assert name in document["components"][kind], reference


def test_parameters_of_features_are_told_where_the_driver_has_them(document: Json) -> None:
    body = document["paths"]["/instances"]["post"]["requestBody"]
    schema = body["content"][FORM]["schema"]
    assert schema["required"] == ["image_id"]
    assert "keyname" in schema["properties"]
    # The mock cloud has no sandboxes.
    assert "sandbox" not in schema["properties"]
    assert any(re.search(pattern, "firewalls12") for pattern in schema["patternProperties"])


def test_what_a_driver_cannot_do_is_left_out() -> None:
    reads = frozenset(id for id in supported(DRIVER) if id.endswith((".page", ".get")))
    verbs = {v for v, p, _ in operations(openapi.document(ROUTES, DRIVER, reads, "")) if p != "/"}
    assert verbs == {"get", "head"}


@pytest.mark.parametrize(
    ("path", "headers", "url"),
    [
        ("/api/docs", {}, "http://h:3001/api"),
        ("/api;driver=mock/docs", {}, "http://h:3001/api;driver=mock"),
        (
            "/api/docs",
            {"x-deltacloud-driver": "mock", "x-deltacloud-provider": "eu"},
            "http://h:3001/api;driver=mock;provider=eu",
        ),
    ],
)
async def test_the_document_leads_to_the_selection_that_it_was_asked_with(
    api: Client, path: str, headers: dict[str, str], url: str
) -> None:
    told = await api.json("GET", path, headers=headers)
    assert told["servers"] == [{"url": url}]


async def test_people_are_led_to_the_document(api: Client) -> None:
    page = await api("GET", "/api/docs", "text/html")
    assert 'href="/api/docs?format=json"' in page.text
    assert (await api("GET", "/api/docs", "application/xml")).status_code == 406


async def test_a_login_is_asked_for_where_the_document_says(
    document: Json, api: Client, stranger: Client
) -> None:
    for verb, path, told in operations(document):
        # The sizes of machines are told to anyone.
        if not told["security"] or path.startswith("/hardware_profiles"):
            continue
        here = "/api" + re.sub(r"{\w+}", "x", path)
        more: Json = {"params": GIVEN.get(told["operationId"], {}), "accept": "application/json"}
        nobody = await stranger(verb.upper(), here, **more)
        assert (nobody.status_code, "www-authenticate" in nobody.headers) == (401, True), here
        wrong = await api(verb.upper(), here, **more, auth=("mockuser", "wrong"))
        assert wrong.status_code == 401, here
