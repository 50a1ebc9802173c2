"""The API does what its own OpenAPI document says, whatever is sent: schemathesis tries it."""

import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.types import Receive, Scope, Send
from tests.frontends.deltacloud.hostile.raw import INNARDS

from nimbi.driver.capabilities import supported
from nimbi.drivers.mock import DRIVER
from nimbi.frontends.deltacloud import openapi
from nimbi.frontends.deltacloud.app import DeltacloudApp
from nimbi.frontends.deltacloud.routes.table import ROUTES
from nimbi.frontends.deltacloud.selection import SERVER
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry

DOCUMENT = "/api/docs?format=json"
FORM = "application/x-www-form-urlencoded"
LOGIN = ("mockuser", "mockpassword")

# Ids of the first members of the mock cloud, for parameters that name one.
MEMBERS = {
    "addresses": "192.168.0.1",
    "blob": "blob1",
    "bucket": "bucket1",
    "buckets": "bucket1",
    "drivers": "mock",
    "firewalls": "default",
    "hardware_profiles": "m1-large",
    "images": "img1",
    "instances": "inst1",
    "keys": "test-key",
    "load_balancers": "lb1",
    "metrics": "inst1",
    "network_interfaces": "nic1",
    "networks": "net1",
    "realms": "us",
    "storage_snapshots": "snap1",
    "storage_volumes": "vol1",
    "subnets": "subnet1",
}

# Every operation with its verb and path, by id.
OPERATIONS = {
    told["operationId"]: (verb, path)
    for path, verbs in openapi.document(ROUTES, DRIVER, supported(DRIVER), "")["paths"].items()
    for verb, told in verbs.items()
}
IDS = sorted(OPERATIONS)

# Nobody made a firewall or a load balancer yet.
UNMADE = {"firewalls_show", "load_balancers_show"}
READ = [
    id
    for id in IDS
    if OPERATIONS[id][0] == "get" and not id.endswith("_content") and id not in UNMADE
]
# What makes or changes something on a fresh cloud, by operation.
WISHES: dict[str, dict[str, str]] = {
    "addresses_create": {},
    "blobs_create": {"blob_id": "x", "blob_data": "x"},
    "buckets_create": {"name": "x"},
    "firewalls_create": {"name": "x", "description": "x"},
    "images_create": {"instance_id": "inst1", "name": "x"},
    "instances_create": {"image_id": "img1"},
    "instances_reboot": {},
    "instances_stop": {},
    "keys_create": {"name": "x"},
    "load_balancers_create": {
        "name": "x",
        "realm_id": "us",
        "listener_protocol": "HTTP",
        "listener_balancer_port": "80",
        "listener_instance_port": "3010",
    },
    "network_interfaces_create": {"instance": "inst1", "network": "net1"},
    "networks_create": {"address_block": "10.9.0.0/16"},
    "storage_snapshots_create": {"volume_id": "vol1"},
    "storage_volumes_attach": {"instance_id": "inst1", "device": "/dev/sdb"},
    "storage_volumes_create": {"capacity": "1"},
    "subnets_create": {"network_id": "net1", "address_block": "192.168.9.0/24"},
}


class Server:
    """The API over a mock cloud, a fresh one in each life: schemathesis ends it with the test."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.app: DeltacloudApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.app(scope, receive, send)
            return
        registry = Registry()
        clouds = Clouds(registry, {}, self.state)
        self.app = DeltacloudApp(clouds, registry, "mock")
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await clouds.aclose()
        await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> OpenApiSchema:
    """Return the document as the server tells it."""
    schema = schemathesis.openapi.from_asgi(DOCUMENT, Server(tmp_path_factory.mktemp("state")))
    # Else what is sent would change with each constant in the source.
    schema.config.analysis.constants.enabled = False
    return schema


def shows_no_innards(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    found = INNARDS.search(response.content)
    assert found is None, response.content


def says_who_answered(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    # The content of a blob and the refusal of a format are no answers of the API's own.
    if response.status_code != 406 and not case.path.endswith("/content"):
        assert response.headers["server"] == [SERVER]


def names_the_request_in_errors(
    _context: CheckContext, response: Response, _case: Case[Any]
) -> None:
    is_json = response.headers.get("content-type") == ["application/json"]
    if response.status_code >= 400 and is_json and response.content:
        assert re.fullmatch(r"[0-9a-f]{32}", response.json()["request_id"])


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    shows_no_innards,
    says_who_answered,
    names_the_request_in_errors,
]

bounded = settings(
    max_examples=5,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def members(id: str) -> dict[str, str]:
    """Return the parts of an operation's path that lead to a member that is there."""
    path = OPERATIONS[id][1]
    return {
        name: MEMBERS.get(name) or MEMBERS[path.split("/")[1]]
        for name in re.findall(r"{(\w+)}", path)
    }


def tried(schema: OpenApiSchema, id: str, mode: GenerationMode, **fixed: Any) -> None:
    """Send to an operation what is made up for it, and check each answer."""
    strategy = schema.find_operation_by_id(id).as_strategy(mode, **fixed)

    @bounded
    @given(case=strategy)
    def holds(case: Case[Any]) -> None:
        case.call_and_validate(auth=LOGIN, checks=CHECKS, allow_redirects=False)

    holds()


def test_the_document_is_one_of_openapi(schema: OpenApiSchema) -> None:
    schema.validate()


@pytest.mark.parametrize("id", [*READ, *WISHES])
def test_json_is_of_the_schema_that_the_document_tells(schema: OpenApiSchema, id: str) -> None:
    body: dict[str, Any] = {"body": WISHES[id], "media_type": FORM} if id in WISHES else {}
    case = schema.find_operation_by_id(id).Case(
        path_parameters=members(id), query={"format": "json"}, **body
    )
    answer = case.call_and_validate(auth=LOGIN, checks=CHECKS, allow_redirects=False)
    assert answer.status_code in {200, 201, 202}
    assert answer.headers["content-type"] == ["application/json"]


@pytest.mark.parametrize("id", IDS)
def test_what_the_document_allows_is_answered_as_it_says(schema: OpenApiSchema, id: str) -> None:
    tried(schema, id, GenerationMode.POSITIVE)


@pytest.mark.parametrize("id", IDS)
def test_what_the_document_forbids_is_answered_as_it_says(schema: OpenApiSchema, id: str) -> None:
    tried(schema, id, GenerationMode.NEGATIVE)


@pytest.mark.parametrize("id", [id for id in IDS if "{" in OPERATIONS[id][1]])
def test_what_is_done_to_members_is_answered_as_the_document_says(
    schema: OpenApiSchema, id: str
) -> None:
    tried(schema, id, GenerationMode.POSITIVE, path_parameters=members(id))
