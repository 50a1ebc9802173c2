import re

import pytest
from lxml import etree
from tests.frontends.deltacloud.conftest import Client, Serve
from tests.frontends.deltacloud.drivers import Odd, failing

from nimbi.frontends.deltacloud import errors
from nimbi.model.errors import (
    ERRORS,
    CloudError,
    Conflict,
    NotFound,
    OutOfCapacity,
    Throttled,
    Unsupported,
)

STATUSES = {
    "cloud_error": 502,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "invalid": 400,
    "quota_exceeded": 429,
    "out_of_capacity": 503,
    "throttled": 429,
    "unsupported": 501,
    "cloud_unavailable": 503,
    "timeout": 504,
    "unknown_outcome": 504,
}


def test_every_error_of_the_model_has_a_row() -> None:
    assert set(errors.ERRORS) == {CloudError, *ERRORS}
    assert {kind.code: how.status for kind, how in errors.ERRORS.items()} == STATUSES


def test_an_error_of_a_driver_is_told_like_the_one_it_comes_from() -> None:
    assert errors.told(Odd("x")).status == 502
    assert errors.told(type("Own", (NotFound,), {})("x")).status == 404


def test_a_conflict_is_a_wrong_state_only_where_a_state_was_to_change() -> None:
    assert errors.problem(Conflict("x")).status == 409
    wrong = errors.problem(Conflict("it is stopped"), is_action=True)
    assert (wrong.status, wrong.message, wrong.details) == (
        405,
        "Method Not Allowed",
        "it is stopped",
    )


@pytest.mark.parametrize("kind", [CloudError, *ERRORS])
@pytest.mark.parametrize("accept", ["application/xml", "application/json", "text/html"])
async def test_every_error_reaches_the_client_with_its_status_and_words(
    serve: Serve, kind: type[CloudError], accept: str
) -> None:
    failing_driver = failing(kind("the <words> & 'more'"))
    async with serve({"mock": failing_driver}, {"calls": {"attempts": 1}}) as api:
        answer = await api("GET", "/api/realms/us", accept)
        assert answer.status_code == STATUSES[kind.code]
        assert answer.headers["content-type"] == accept
        assert answer.headers["server"].startswith("Apache-Deltacloud/")
        if accept == "application/json":
            told = answer.json()
            assert told["message"] == "the <words> & 'more'"
            assert told["code"] == answer.status_code
            assert told["error"].startswith("Deltacloud::Exceptions::")
        elif accept == "application/xml":
            root = etree.fromstring(answer.content)
            assert root.tag == "error"
            assert root.get("status") == root.findtext("code") == str(answer.status_code)
            assert root.findtext("message") == "the <words> & 'more'"
        else:
            assert "the &lt;words&gt; &amp; &#39;more&#39;" in answer.text


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Throttled("x", 2.2), "3"),
        (Throttled("x", 0.0), "1"),
        (Throttled("x"), "1"),
        (OutOfCapacity("x"), "30"),
    ],
)
async def test_a_client_is_told_when_to_come_again(
    serve: Serve, error: CloudError, seconds: str
) -> None:
    async with serve({"mock": failing(error)}, {"calls": {"attempts": 1}}) as api:
        answer = await api("GET", "/api/realms/us", "application/xml")
        assert answer.headers["retry-after"] == seconds


async def test_an_error_that_nobody_foresaw_tells_nothing_of_itself(serve: Serve) -> None:
    async with serve({"mock": failing(RuntimeError("secret /path"))}) as api:
        answer = await api("GET", "/api/realms/us", "application/xml")
        assert answer.status_code == 502
        assert "secret" not in answer.text


async def test_an_error_of_our_own_is_logged_under_the_id_that_the_client_gets(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    # A name that is no text breaks the renderer.
    async with serve() as api:
        clouds = api.app._clouds
        api.app._clouds = None  # type: ignore[assignment]
        answer = await api("GET", "/api/realms/us", "application/json")
        api.app._clouds = clouds
    assert answer.status_code == 500
    told = answer.json()
    assert "Traceback" not in answer.text
    assert "NoneType" not in answer.text
    assert told["request_id"] in told["message"]
    assert told["request_id"] in caplog.text


async def test_the_document_has_the_request_in_it_and_no_secret(api: Client) -> None:
    answer = await api(
        "POST",
        "/api/instances?image_id=none&password=hunter2&user_data=c2VjcmV0&name=a%22b",
        "application/xml",
    )
    assert answer.status_code in {400, 404}
    params = {
        p.get("name"): p.text for p in etree.fromstring(answer.content).findall("request/param")
    }
    assert params["image_id"] == '"none"'
    assert params["name"] == '"a\\"b"'
    assert "hunter2" not in answer.text
    assert "c2VjcmV0" not in answer.text


async def test_the_id_stands_where_the_stack_trace_was(api: Client) -> None:
    root = await api.xml("GET", "/api/realms/nope")
    assert re.fullmatch(r"request [0-9a-f]{32}", root.findtext("backtrace") or "")


async def test_an_action_in_a_wrong_state_is_told_in_the_words_clients_know(api: Client) -> None:
    answer = await api("POST", "/api/instances/inst1/start", "application/xml")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    root = etree.fromstring(answer.content)
    assert root.findtext("message") == "Method Not Allowed"
    assert "running" in (root.findtext("backtrace") or "")


async def test_what_a_cloud_cannot_honour_is_not_implemented(serve: Serve) -> None:
    async with serve({"mock": failing(Unsupported("no", "realms.get"))}) as api:
        told = await api.json("GET", "/api/realms/us")
        assert told["error"] == "Deltacloud::Exceptions::NotSupported"
