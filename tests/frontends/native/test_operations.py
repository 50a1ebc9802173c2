"""Operations on one account: what is asked reaches the cloud, and what is wrong does not."""

from urllib.parse import quote

import httpx
import pytest
from tests.frontends.native.conftest import Api

from nimbi.drivers.mock.faults import Faults, LostReply, Outage, Throttle
from nimbi.model.tokens import Scope

# One app for all of them: each asks what has changed, not what there is.
pytestmark = pytest.mark.asyncio(loop_scope="module")

INSTANCES = "/v1/accounts/mock/instances"


def kind_of(answer: httpx.Response) -> str:
    """Return which problem an answer is."""
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["status"] == answer.status_code
    assert told["request_id"]
    return str(told["type"]).removeprefix("/v1/problems/")


async def made(api: Api) -> str:
    """Return the path of an instance just made, which runs."""
    answer = await api.ask("POST", INSTANCES, {"image_id": "img1"})
    return str(answer.headers["location"])


async def test_things_have_their_account_and_nothing_of_the_clouds_own(api: Api) -> None:
    told = (await api.ask("GET", INSTANCES)).json()
    assert {"inst0", "inst1", "inst2"} <= {item["id"] for item in told["items"]}
    assert all(item["account"] == "mock" and "extra" not in item for item in told["items"])


async def test_pages_of_one_give_the_same_as_one_page(api: Api) -> None:
    whole = (await api.ask("GET", f"{INSTANCES}?limit=1000")).json()["items"]
    seen, marker = [], ""
    while marker is not None:
        page = (await api.ask("GET", f"{INSTANCES}?limit=1{marker}")).json()
        seen += page["items"]
        marker = page["next"] and f"&marker={quote(page['next'])}"
    assert seen == whole


async def test_filters_reach_the_cloud(api: Api) -> None:
    await api.ask("POST", INSTANCES, {"image_id": "img1", "tags": {"a b": "c=d"}})
    found = await api.ask("GET", f"{INSTANCES}?tags.a%20b=c%3Dd&state=running")
    assert len(found.json()["items"]) == 1
    assert (await api.ask("GET", f"{INSTANCES}?tags%5Ba%20b%5D=no")).json()["items"] == []


async def test_a_list_that_did_not_change_is_not_sent_again(api: Api) -> None:
    tag = (await api.ask("GET", INSTANCES)).headers["etag"]
    again = await api.ask("GET", INSTANCES, if_none_match=tag)
    assert (again.status_code, again.content) == (304, b"")
    await api.ask("POST", INSTANCES, {"image_id": "img1"})
    assert (await api.ask("GET", INSTANCES, if_none_match=tag)).status_code == 200


async def test_a_thing_is_made_found_and_destroyed(api: Api) -> None:
    made = await api.ask("POST", INSTANCES, {"image_id": "img1", "name": "a"})
    assert made.status_code == 201
    where = made.headers["location"]
    assert (await api.ask("GET", where)).json() == made.json()
    assert (await api.ask("POST", f"{where}/stop?wait=5")).json()["state"] == "stopped"
    gone = await api.ask("DELETE", where)
    assert (gone.status_code, gone.content) == (204, b"")
    assert kind_of(await api.ask("GET", where)) == "not_found"


async def test_what_head_says_is_what_get_says(api: Api) -> None:
    head, get = await api.ask("HEAD", INSTANCES), await api.ask("GET", INSTANCES)
    assert head.content == b""
    assert head.headers == get.headers


async def test_head_of_a_stream_has_an_end(api: Api) -> None:
    for path in ("/v1/events", "/v1/accounts/mock/buckets/bucket1/blobs/blob1/content"):
        head = await api.ask("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
    lines = await api.ask("HEAD", "/v1/instances", accept="application/x-ndjson")
    assert (lines.status_code, lines.content) == (200, b"")


async def test_a_change_is_made_only_to_what_the_client_knows(api: Api) -> None:
    where = await made(api)
    tag = (await api.ask("GET", where)).headers["etag"]
    other = await api.ask("POST", f"{where}/stop", if_match='"other"')
    assert (other.status_code, kind_of(other)) == (412, "precondition_failed")
    assert (await api.ask("POST", f"{where}/stop", if_match=tag)).status_code == 204
    assert kind_of(await api.ask("POST", f"{where}/start", if_match=tag)) == "precondition_failed"


async def test_a_rehearsal_says_what_would_be_refused_and_does_nothing(api: Api) -> None:
    where = await made(api)
    before = api.count()
    good = await api.ask("POST", f"{INSTANCES}?dry_run=true", {"image_id": "img1"})
    assert (good.status_code, good.json()["dry_run"]) == (200, True)
    unknown = await api.ask("POST", f"{INSTANCES}?dry_run=true", {"image_id": "none"})
    assert kind_of(unknown) == "not_found"
    assert kind_of(await api.ask("POST", f"{where}/start?dry_run=true")) == "conflict"
    assert (await api.ask("POST", f"{where}/stop?dry_run=true")).status_code == 200
    assert (await api.ask("GET", where)).json()["state"] == "running"
    assert api.count() == before


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "says"),
    [
        ("", "{", 400, "bad_request", "JSON"),
        ("", "[]", 422, "invalid", "object"),
        ("", '"\\ud800"', 400, "bad_request", "JSON"),
        ("", '{"a":' * 15_000, 400, "bad_request", "deep"),
        ("", "{}", 422, "invalid", "boots"),
        ("", '{"image_id": 5}', 422, "invalid", "image_id"),
        ("", '{"image_id": "img1", "nmae": "x"}', 422, "invalid", "'nmae'"),
        ("", '{"image_id": "img1", "sizes": {"cpu": 2}}', 422, "invalid", "'cpu' at $.sizes"),
        ("", '{"image_id": "img1", "token": "t"}', 422, "invalid", "Idempotency-Key"),
        ("", '{"image_id": "img1", "user_data": "?"}', 422, "invalid", "user_data"),
        ("", '{"image_id": "none"}', 422, "invalid", "none"),
        ("", " " * 100_001, 413, "too_large", "100000"),
        ("/create_many", '{"new": {"image_id": "img1"}}', 422, "invalid", "count"),
        ("/create_many", '{"new": {"image_id": "img1"}, "count": 0}', 422, "invalid", "count"),
        ("/inst1/start", '{"x": 1}', 422, "invalid", "'x'"),
        ("/inst1/resize", '{"cpus": "many"}', 422, "invalid", "cpus"),
        ("/inst1/rebuild", "", 400, "bad_request", "body"),
        ("/inst1/explode", "", 404, "no_such_place", ""),
        ("?wait=forever", "{}", 400, "bad_request", "wait"),
        ("?dry_run=perhaps", '{"image_id": "img1"}', 400, "bad_request", "dry_run"),
    ],
)
async def test_what_is_wrong_is_told_and_not_done(
    api: Api, path: str, body: str, status: int, kind: str, says: str
) -> None:
    before = api.count()
    answer = await api.client.post(
        INSTANCES + path, content=body, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, kind_of(answer)) == (status, kind)
    assert says in answer.json()["detail"]
    assert api.count() == before


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "?nothing=1", 400, "bad_request"),
        ("GET", "?limit=0", 422, "invalid"),
        ("GET", "?limit=ten", 422, "invalid"),
        ("GET", "?limit=1&limit=2", 400, "bad_request"),
        ("GET", "?state=asleep", 422, "invalid"),
        ("GET", "?marker=mine", 422, "invalid"),
        ("GET", "?changed_since=2026-01-01T00:00:00", 422, "invalid"),
        ("GET", "?state=%FF", 400, "bad_request"),
        ("GET", "/%FF", 400, "bad_request"),
        ("GET", "/%zz", 400, "bad_request"),
        ("GET", "/%00", 404, "not_found"),
        ("GET", "/", 404, "no_such_place"),
        ("GET", "/inst1/", 404, "no_such_place"),
        ("GET", "//inst1", 404, "no_such_place"),
        ("GET", "/..%2F..%2Ftokens", 404, "not_found"),
        ("GET", "/" + quote("日本/語 ?#"), 404, "no_such_place"),
        ("GET", "/" + quote("日本/語 ?#", safe=""), 404, "not_found"),
        ("PUT", "/inst1", 405, "method_not_allowed"),
        ("GET", "/inst1/stop", 405, "method_not_allowed"),
        ("BREW", "", 405, "method_not_allowed"),
    ],
)
async def test_a_place_that_is_none_is_told(
    api: Api, method: str, path: str, status: int, kind: str
) -> None:
    answer = await api.ask(method, INSTANCES + path)
    assert (answer.status_code, kind_of(answer)) == (status, kind)
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_get_with_a_body_and_a_body_of_another_type_are_refused(api: Api) -> None:
    assert kind_of(await api.ask("GET", INSTANCES, {"state": "running"})) == "bad_request"
    form = await api.client.post(INSTANCES, data={"image_id": "img1"})
    assert (form.status_code, kind_of(form)) == (415, "unsupported_media_type")


async def test_options_tells_the_methods_without_a_token(api: Api) -> None:
    async with api.client_of("") as stranger:
        answer = await stranger.options(INSTANCES)
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize(
    ("faults", "status", "kind"),
    [
        (Faults(outage=Outage()), 503, "cloud_unavailable"),
        (Faults(throttle=Throttle(retry_after_s=100)), 429, "throttled"),
        (Faults(lost_reply=LostReply()), 504, "unknown_outcome"),
    ],
)
async def test_what_a_cloud_says_is_told_by_its_code(
    api: Api, faults: Faults, status: int, kind: str
) -> None:
    api.cloud.faults = faults
    answer = await api.ask("POST", f"{INSTANCES}?deadline=1", {"image_id": "img1"})
    api.cloud.faults = Faults()
    assert (answer.status_code, kind_of(answer)) == (status, kind)
    assert ("retry-after" in answer.headers) == (kind == "throttled")


async def test_a_login_that_the_cloud_refuses_is_not_the_callers_fault(api: Api) -> None:
    wrong = {"id": "wrong", "driver": "mock", "credentials": {"user": "mockuser", "password": "x"}}
    assert (await api.ask("POST", "/v1/accounts?test=false", wrong)).status_code == 201
    answer = await api.ask("GET", "/v1/accounts/wrong/instances")
    assert (answer.status_code, kind_of(answer)) == (502, "account_unauthorized")
    assert "www-authenticate" not in answer.headers


async def test_a_token_does_what_its_scopes_say_and_no_more(api: Api) -> None:
    scope = Scope(operations="instances.page", account="mock")
    async with await api.reader(scope) as reader:
        assert (await reader.get(INSTANCES)).status_code == 200
        for answer in (
            await reader.post(INSTANCES, json={"image_id": "img1"}),
            await reader.get(f"{INSTANCES}/inst1"),
            await reader.get("/v1/accounts/other/instances"),
            await reader.get("/v1/tokens"),
        ):
            assert (answer.status_code, kind_of(answer)) == (403, "forbidden")


@pytest.mark.parametrize(
    "login", ["", "Bearer", "Bearer x", "Bearer \xff", "Basic !", "Basic OnVzZXI=", "Digest x"]
)
async def test_who_has_no_token_is_asked_for_one(api: Api, login: str) -> None:
    headers = {b"authorization": login.encode("latin-1")}
    answer = await api.client.get(INSTANCES, headers=headers)
    assert (answer.status_code, kind_of(answer)) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_may_be_the_password_of_basic(api: Api) -> None:
    secret = api.client.headers["authorization"].removeprefix("Bearer ")
    async with api.client_of("none") as plain:
        plain.headers.pop("authorization")
        own = await plain.get(INSTANCES, auth=("anybody", secret))
        foreign = await plain.post(
            f"{INSTANCES}/inst1/stop",
            auth=("anybody", secret),
            headers={"sec-fetch-site": "cross-site"},
        )
    assert own.status_code == 200
    assert (foreign.status_code, kind_of(foreign)) == (403, "forbidden")


async def test_an_id_may_hold_anything(api: Api) -> None:
    id = "a/b//../ü ?%#;=&\u2028"
    where = f"/v1/accounts/mock/buckets/bucket1/blobs/{quote(id, safe='')}"
    put = await api.client.put(f"{where}/content", content=b"hello")
    assert put.status_code == 201
    assert put.json()["id"] == id
    assert (await api.ask("GET", where)).json()["size_bytes"] == 5
    assert (await api.client.get(f"{where}/content")).content == b"hello"
    copied = await api.ask("POST", f"{where}/copy", {"bucket_id": "bucket2", "id": id})
    assert copied.json()["bucket_id"] == "bucket2"


async def test_text_and_pictures_are_sent_as_such(api: Api) -> None:
    where = await made(api)
    console = await api.ask("GET", f"{where}/console")
    assert console.headers["content-type"] == "text/plain; charset=utf-8"
    picture = await api.ask("GET", f"{where}/screenshot")
    assert picture.headers["content-type"] == "image/png"


async def test_a_console_is_given_by_a_ticket_of_the_caller(api: Api) -> None:
    where = await made(api)
    given = await api.ask("POST", f"{where}/open_console", {"kind": "serial"})
    assert given.status_code == 201
    assert given.json()["url"] == f"http://nimbi/consoles/{given.json()['token']}"
    assert kind_of(await api.ask("POST", f"{where}/open_console", {"kind": "x"})) == "invalid"
