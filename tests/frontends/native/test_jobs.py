"""Jobs and schedules over HTTP."""

from typing import Any

import pytest
from tests.frontends.native.conftest import Api

from nimbi.model.people import Owner
from nimbi.model.tokens import Scope
from nimbi.model.work import Bulk, Target

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAUNCH = {"account": "mock", "new": {"image_id": "img1", "name": "of-a-job"}}
NEW = {"kind": "launch", "arguments": LAUNCH, "title": "one machine"}
STOP = {"action": "instances.stop", "choice": {"accounts": ["mock"]}}
NIGHTLY = {"kind": "bulk", "arguments": STOP, "cron": "0 20 * * *", "time_zone": "Europe/Berlin"}


async def test_a_job_is_begun_once_and_waited_for(api: Api) -> None:
    before = api.count()
    async with api.broker.jobs.running():
        made = await api.keyed("job-1", "/v1/jobs", NEW)
        again = await api.keyed("job-1", "/v1/jobs", NEW)
        assert (made.status_code, again.json()["id"]) == (201, made.json()["id"])
        place = made.headers["location"]
        job = (await api.ask("GET", f"{place}?wait=60")).json()
    assert (job["state"], job["percent"], job["title"]) == ("done", 100, "one machine")
    assert len(job["result"]["ids"]) == 1
    assert api.count() == before + 1
    listed = (await api.ask("GET", "/v1/jobs?state=done&kind=launch&mine=true")).json()
    assert [item["id"] for item in listed["items"]] == [job["id"]]
    (line,) = (await api.ask("GET", f"{place}/log")).json()["items"]
    assert line["text"] == f"made of-a-job ({job['result']['ids'][0]})"


async def test_a_job_that_goes_on_is_202_and_can_be_cancelled(api: Api) -> None:
    # Nobody does jobs here.
    made = (await api.ask("POST", "/v1/jobs", NEW)).json()
    place = f"/v1/jobs/{made['id']}"
    assert (await api.ask("GET", f"{place}?wait=1")).status_code == 202
    assert (await api.ask("POST", f"{place}/cancel")).json()["state"] in {"cancelling", "cancelled"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "unknown", "arguments": {}},
        {"kind": "launch", "arguments": {}},
        {"kind": "launch", "arguments": LAUNCH | {"count": 0}},
        {"kind": "launch", "arguments": LAUNCH | {"more": 1}},
        {"kind": "bulk", "arguments": {"action": "instances.stop"}},
        {"kind": "bulk", "arguments": {"action": "instances.create", "targets": []}},
    ],
)
async def test_a_job_that_says_nothing_is_refused(api: Api, wrong: Any) -> None:
    told = await api.ask("POST", "/v1/jobs", wrong)
    assert (told.status_code, told.json()["code"]) == (422, "invalid")


async def test_nobody_begins_what_they_may_not_do(api: Api) -> None:
    async with await api.reader(Scope(operations="read")) as reader:
        assert (await reader.post("/v1/jobs", json=NEW)).status_code == 403
        assert (await reader.post("/v1/schedules", json=NIGHTLY)).status_code == 403
        assert (await reader.get("/v1/jobs")).status_code == 200
    elsewhere = (Scope(account="elsewhere"), Scope(account="mock", operations="jobs.*"))
    async with await api.reader(*elsewhere) as reader:
        assert (await reader.post("/v1/jobs", json=NEW)).status_code == 403
    async with await api.reader(Scope(account="mock")) as narrow:
        assert (await narrow.post("/v1/jobs", json=NEW)).status_code == 201


async def test_the_jobs_of_another_tenant_are_not_there(api: Api) -> None:
    owner = Owner(user="u", name="u", tenant="elsewhere")
    bulk = Bulk(action="instances.stop", targets=(Target(account="mock", id="x"),))
    job = await api.broker.jobs.start("bulk", bulk, owner)
    assert (await api.ask("GET", f"/v1/jobs/{job.id}")).status_code == 200
    assert (await api.ask("GET", "/v1/jobs/none")).status_code == 404


async def test_a_list_of_jobs_refuses_what_is_no_state(api: Api) -> None:
    assert (await api.ask("GET", "/v1/jobs?state=asleep")).status_code == 400
    page = (await api.ask("GET", "/v1/jobs?limit=1")).json()
    assert len(page["items"]) == 1
    more = (await api.ask("GET", f"/v1/jobs?limit=1&marker={page['next']}")).json()
    assert more["items"][0]["id"] != page["items"][0]["id"]


async def test_the_kinds_tell_what_they_take(api: Api) -> None:
    kinds = {item["name"]: item for item in (await api.ask("GET", "/v1/job-kinds")).json()["items"]}
    assert {"launch", "bulk", "copy-blob"} <= set(kinds)
    assert "$ref" in kinds["launch"]["arguments"]


async def test_a_schedule_is_made_changed_and_removed(api: Api) -> None:
    made = await api.keyed("schedule-1", "/v1/schedules", NIGHTLY)
    assert made.status_code == 201, made.text
    place = made.headers["location"]
    assert made.json()["next_at"]
    times = (await api.ask("GET", f"{place}/times?count=3")).json()
    assert (len(times["times"]), times["time_zone"]) == (3, "Europe/Berlin")
    paused = (await api.ask("PATCH", place, {"is_enabled": False})).json()
    assert (paused["is_enabled"], paused["next_at"]) == (False, None)
    resumed = await api.ask("PATCH", place, {"is_enabled": True, "cron": "0 21 * * *"})
    assert resumed.json()["cron"] == "0 21 * * *"
    job = await api.ask("POST", f"{place}/run")
    assert (job.status_code, job.json()["kind"]) == (201, "bulk")
    listed = (await api.ask("GET", "/v1/schedules")).json()["items"]
    assert [item["id"] for item in listed] == [made.json()["id"]]
    assert (await api.ask("DELETE", place)).status_code == 204
    assert (await api.ask("GET", place)).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"cron": "every day"},
        {"time_zone": "Mars/Olympus"},
        {"cron": None},
        {"at": "2030-01-01T00:00:00"},
        {"kind": "unknown"},
    ],
)
async def test_a_schedule_that_says_nothing_is_refused(api: Api, wrong: Any) -> None:
    told = {name: value for name, value in (NIGHTLY | wrong).items() if value is not None}
    answer = await api.ask("POST", "/v1/schedules", told)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
