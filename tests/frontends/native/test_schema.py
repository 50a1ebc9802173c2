"""The API does what its own OpenAPI document says, whatever is sent: schemathesis tries it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema
from tests.frontends.native.serving import Place, served

from nimbi.frontends.native.openapi.document import document
from nimbi.frontends.native.routes import ROUTES

# Ids of the first members of the mock cloud, by the collection in a path.
MEMBERS = {
    "addresses": "192.168.0.1",
    "blobs": "blob1",
    "buckets": "bucket1",
    "firewalls": "default",
    "hardware_profiles": "m1-large",
    "images": "img1",
    "instances": "inst1",
    "keys": "test-key",
    "load_balancers": "lb1",
    "metrics": "inst1",
    "network_interfaces": "nic1",
    "networks": "net1",
    "quotas": "instances",
    "realms": "us",
    "routers": "router1",
    "snapshots": "snap1",
    "subnets": "subnet1",
    "volumes": "vol1",
}
NAMED = {"account": "mock", "bucket_id": "bucket1", "name": "mock", "order": 1}

# Every operation with its method and path, by id.
OPERATIONS = {
    told["operationId"]: (method, path)
    for path, methods in document(ROUTES)["paths"].items()
    for method, told in methods.items()
}
IDS = sorted(OPERATIONS)
OPEN = {id for id in IDS if id.startswith(("docs.", "openid."))} | {"login.create"}
# What takes nothing can be asked nothing wrong.
UNASKED = {id for id in IDS if id.startswith("docs.")} | {"openid.device", "openid.page"}
ASKED = [id for id in IDS if id not in UNASKED]

# Ends the token that it is asked with, whatever that may do.
LEAVING = "login.end"

CHANGING = [id for id in IDS if OPERATIONS[id][0] != "get" and id not in OPEN | {LEAVING}]

# What is changed decides whether it is allowed: only the body tells, or what is found by its id.
LOOKED_AT = {
    **dict.fromkeys(("accounts.create", "checks.create", "jobs.create"), 400),
    **dict.fromkeys(("schedules.create", "silences.create", "users.change"), 400),
    **dict.fromkeys(("checks.destroy", "checks.disable", "checks.enable"), 404),
    "silences.destroy": 404,
}

# What would be seen of a failure's inside.
INNARDS = re.compile(
    rb"Traceback|site-packages|\.py\"|line \d+, in |<[a-z_.]+ object at 0x|sqlalche"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("native")) as place:
        yield place


@pytest.fixture(scope="module")
def schema(place: Place) -> OpenApiSchema:
    """Return the document as the server tells it."""
    schema = schemathesis.openapi.from_url(f"{place.url}/v1/openapi.json")
    # Else what is sent would change with each constant in the source.
    schema.config.analysis.constants.enabled = False
    return schema


def does_not_fail(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    # What the mock cloud cannot do is 501; all else from 500 on would be a failure.
    assert response.status_code < 500 or response.status_code == 501, response.content


def shows_no_innards(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    is_page = case.path.startswith(("/v1/docs", "/v1/openapi.json"))
    assert is_page or INNARDS.search(response.content) is None, response.content


def tells_failures_as_problems(
    _context: CheckContext, response: Response, _case: Case[Any]
) -> None:
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"]
        problem = response.json()
        assert problem["status"] == response.status_code


def refuses_what_is_wrong(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Let nothing pass that the document forbids, but for headers: our own stand before those."""
    assert case.meta is not None
    headers = case.meta.components.get(ParameterLocation.HEADER)
    if headers is None or headers.mode is GenerationMode.POSITIVE:
        negative_data_rejection(context, response, case)


CHECKS = [
    does_not_fail,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    refuses_what_is_wrong,
    shows_no_innards,
    tells_failures_as_problems,
]

WITHOUT_TOKEN = [check for check in CHECKS if check is not refuses_what_is_wrong]

# Without a form that is named, changes are told as a page and not as an endless stream.
ANY_FORM = {"Accept": "*/*"}

# A path that cannot be is told to anybody.
NO_TOKEN = frozenset({400, 401, 404, 405})

bounded = settings(
    max_examples=2,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def members(id: str) -> dict[str, Any]:
    """Return the parts of an operation's path that lead to a member that is there."""
    path = OPERATIONS[id][1]
    found: dict[str, Any] = {}
    before = ""
    for part in path.split("/"):
        if part.startswith("{"):
            name = part[1:-1]
            found[name] = NAMED.get(name) or MEMBERS.get(before, "x")
        else:
            before = part
    return found


def tried(schema: OpenApiSchema, place: Place, id: str, mode: GenerationMode, **fixed: Any) -> None:
    """Send to an operation what is made up for it, with a token and without; check each answer."""
    strategy = schema.find_operation_by_id(id).as_strategy(mode, **fixed)

    @bounded
    @given(case=strategy)
    def holds(case: Case[Any]) -> None:
        token = place.leaver if id == LEAVING else place.token
        headers = {**ANY_FORM, "Authorization": f"Bearer {token}"}
        answer = case.call_and_validate(headers=headers, checks=CHECKS, allow_redirects=False)
        # Else nothing would have been tried.
        assert answer.status_code != 401 or id in OPEN | {LEAVING}, answer.content
        # What is made up for a login too would be a guess, and guesses are slowed down.
        case.headers.pop("Authorization", None)
        answer = case.call(headers=ANY_FORM, allow_redirects=False)
        if id not in OPEN:
            assert answer.status_code in NO_TOKEN, answer.content
        case.validate_response(answer, checks=WITHOUT_TOKEN)

    holds()


def test_the_document_is_one_of_openapi(schema: OpenApiSchema) -> None:
    schema.validate()


@pytest.mark.parametrize("id", IDS)
def test_what_the_document_allows_is_answered_as_it_says(
    schema: OpenApiSchema, place: Place, id: str
) -> None:
    tried(schema, place, id, GenerationMode.POSITIVE, path_parameters=members(id))


@pytest.mark.parametrize("id", ASKED)
def test_what_the_document_forbids_is_answered_as_it_says(
    schema: OpenApiSchema, place: Place, id: str
) -> None:
    tried(schema, place, id, GenerationMode.NEGATIVE)


@pytest.mark.parametrize("id", [id for id in IDS if id not in OPEN])
def test_nothing_is_done_without_a_token(schema: OpenApiSchema, id: str) -> None:
    case = schema.find_operation_by_id(id).Case(path_parameters=members(id))
    answer = case.call(headers=ANY_FORM)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == ['Bearer realm="nimbi"']


@pytest.mark.parametrize("id", CHANGING)
def test_a_token_that_reads_changes_nothing(schema: OpenApiSchema, place: Place, id: str) -> None:
    case = schema.find_operation_by_id(id).Case(path_parameters=members(id))
    answer = case.call(headers={**ANY_FORM, "Authorization": f"Bearer {place.reader}"})
    assert answer.status_code == LOOKED_AT.get(id, 403), answer.content
