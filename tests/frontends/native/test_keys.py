"""Idempotency-Key: the same request is done once, whatever becomes of the first."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.frontends.native.conftest import Api, client
from tests.frontends.native.test_operations import INSTANCES, kind_of

from nimbi.drivers.mock.faults import Faults, Latency, LostReply, Outage
from nimbi.frontends.native import keys
from nimbi.frontends.native.app import NativeApp
from nimbi.model.tokens import Scope
from nimbi.store.answers import Begun

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = {"image_id": "img1", "name": "once"}


async def test_the_same_request_again_gets_the_same_answer_and_makes_nothing(api: Api) -> None:
    first = await api.keyed("again", INSTANCES, NEW)
    count = api.count()
    second = await api.keyed("again", INSTANCES, NEW)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["etag"] == first.headers["etag"]
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (
        False,
        "true",
    )
    assert api.count() == count


async def test_the_same_key_with_another_request_is_refused(api: Api) -> None:
    await api.keyed("taken", INSTANCES, NEW)
    count = api.count()
    others = [
        await api.keyed("taken", INSTANCES, NEW | {"name": "other"}),
        await api.keyed("taken", f"{INSTANCES}?wait=1", NEW),
        await api.keyed("taken", f"{INSTANCES}/inst1/stop"),
    ]
    assert [(a.status_code, kind_of(a)) for a in others] == [(422, "key_reused")] * 3
    assert api.count() == count


async def test_keys_of_one_token_are_not_those_of_another(api: Api) -> None:
    first = await api.keyed("mine", INSTANCES, NEW)
    async with await api.reader(Scope()) as other:
        second = await other.post(INSTANCES, json=NEW, headers={"idempotency-key": "mine"})
    assert first.json()["id"] != second.json()["id"]


async def test_requests_at_once_do_it_once(api: Api) -> None:
    api.cloud.faults = Faults(latency=Latency(seconds=0.2))
    before = api.count()
    answers = await asyncio.gather(*(api.keyed("at-once", INSTANCES, NEW) for _ in range(5)))
    api.cloud.faults = Faults()
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert api.count() == before + 1


async def test_one_that_takes_too_long_is_said_to_be_under_way(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "WAIT_S", 0.1)
    api.cloud.faults = Faults(latency=Latency(seconds=1.0))
    first = asyncio.create_task(api.keyed("slow", INSTANCES, NEW))
    while not await api.broker.intents.count_open("mock"):  # noqa: ASYNC110  it is another's
        await asyncio.sleep(0.01)
    second = await api.keyed("slow", INSTANCES, NEW)
    assert (second.status_code, kind_of(second)) == (409, "key_in_progress")
    assert second.headers["retry-after"] == "1"
    assert (await first).status_code == 201
    api.cloud.faults = Faults()


@pytest.mark.parametrize("faults", [Faults(outage=Outage()), Faults(lost_reply=LostReply())])
async def test_a_passing_failure_is_not_remembered(api: Api, faults: Faults) -> None:
    key = f"passing {faults.outage is None}".replace(" ", "-")
    before = api.count()
    api.cloud.faults = faults
    first = await api.keyed(key, f"{INSTANCES}?deadline=1", NEW)
    api.cloud.faults = Faults()
    second = await api.keyed(key, f"{INSTANCES}?deadline=1", NEW)
    third = await api.keyed(key, f"{INSTANCES}?deadline=1", NEW)
    assert first.status_code >= 500
    assert (second.status_code, third.content) == (201, second.content)
    assert api.count() == before + 1


async def test_a_lasting_failure_is_remembered(api: Api) -> None:
    first = await api.keyed("lasting", f"{INSTANCES}/unknown/stop")
    second = await api.keyed("lasting", f"{INSTANCES}/unknown/stop")
    assert (first.status_code, second.status_code) == (404, 404)
    assert "idempotency-replayed" in second.headers


class Dying:
    """Answers of a process that dies after the cloud has worked, before that is written down."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers

    async def begin(
        self, key: str, owner: str, digest: bytes, *, holder: str, seconds: float
    ) -> Begun:
        """Claim a key; what a dead process held is free after a while, here at once."""
        begun: Begun = await self._answers.begin(
            key, owner, digest, holder=holder, seconds=min(seconds, 0.0)
        )
        return begun

    async def finish(self, *_told: object) -> bool:
        raise asyncio.CancelledError


async def test_what_a_dead_process_made_is_found_and_not_made_again(api: Api) -> None:
    broker = replace(api.broker, answers=Dying(api.broker.answers))  # type: ignore[arg-type]
    before = api.count()
    dying = NativeApp(broker)
    async with client(dying, dict(api.client.headers)) as first:
        with pytest.raises(asyncio.CancelledError):
            await first.post(INSTANCES, json=NEW, headers={"idempotency-key": "dead"})
    assert api.count() == before + 1
    again = await api.keyed("dead", INSTANCES, NEW)
    assert again.status_code == 201
    assert api.count() == before + 1


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "ü", '"', '"open'])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer = await api.client.post(
        INSTANCES, json=NEW, headers={b"idempotency-key": key.encode("latin-1")}
    )
    assert (answer.status_code, kind_of(answer)) == (400, "bad_request")


async def test_a_secret_that_is_told_once_is_told_again_and_kept_sealed(api: Api) -> None:
    first = await api.keyed("token", "/v1/tokens", {"name": "new"})
    second = await api.keyed("token", "/v1/tokens", {"name": "new"})
    secret = first.json()["secret"]
    assert second.json()["secret"] == secret
    file = api.broker.database.place.file
    assert file is not None
    for kept in file.parent.glob("nimbi.db*"):
        assert secret.encode() not in kept.read_bytes()


async def test_a_rehearsal_uses_up_no_key(api: Api) -> None:
    assert (await api.keyed("dry", f"{INSTANCES}?dry_run=true", NEW)).status_code == 200
    done: httpx.Response = await api.keyed("dry", INSTANCES, NEW)
    assert done.status_code == 201
