"""Changes as server-sent events, as pages, and by webhooks."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.frontends.native.conftest import Api
from tests.frontends.native.serving import token

from nimbi.model.tokens import Scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = "/v1/events"
INSTANCES = "/v1/accounts/mock/instances"


class Listener:
    """A client that reads a stream for as long as it likes."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.status = asyncio.get_running_loop().create_future()
        self._parts: asyncio.Queue[bytes] = asyncio.Queue()
        self._text = ""

    async def receive(self) -> MutableMapping[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status.set_result(message["status"])
        else:
            self._parts.put_nowait(message["body"])

    async def next(self) -> dict[str, str]:
        """Return the fields of the next block that is no comment."""
        while True:
            while "\n\n" not in self._text:
                self._text += (await asyncio.wait_for(self._parts.get(), 10)).decode()
            block, _, self._text = self._text.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "" not in fields:
                return fields


@asynccontextmanager
async def listening(
    api: Api, query: str = "", *, secret: str | None = None, **headers: str
) -> AsyncIterator[Listener]:
    """Ask for the stream of events."""
    login = f"Bearer {secret}" if secret else api.client.headers["authorization"]
    told = {"accept": "text/event-stream", "authorization": login} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    scope = {
        "type": "http",
        "method": "GET",
        "path": EVENTS,
        "raw_path": EVENTS.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }
    listener = Listener()
    serving = asyncio.create_task(api.app(scope, listener.receive, listener.send))
    try:
        await listener.status
        yield listener
    finally:
        listener.left.set()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def made(api: Api, name: str) -> str:
    answer = await api.ask("POST", INSTANCES, {"image_id": "img1", "name": name})
    id: str = answer.json()["id"]
    return id


async def test_a_change_is_told_as_it_happens(api: Api) -> None:
    async with listening(api, "collection=instances") as listener:
        assert await listener.status == 200
        begin = await listener.next()
        id = await made(api, "seen")
        event = await listener.next()
    told = json.loads(event["data"])
    assert (event["event"], told["thing_id"], told["body"]["name"]) == ("appeared", id, "seen")
    assert int(event["id"]) == told["id"] > int(begin["id"])


async def test_who_comes_back_misses_nothing(api: Api) -> None:
    async with listening(api) as listener:
        last = (await listener.next())["id"]
    ids = [await made(api, "one"), await made(api, "two")]
    async with listening(api, "collection=instances", last_event_id=last) as listener:
        assert await listener.next() == {"id": last, "retry": "2000"}
        seen = [json.loads((await listener.next())["data"])["thing_id"] for _ in ids]
    assert seen == ids


async def test_an_event_that_never_was_is_refused(api: Api) -> None:
    answer = await api.ask("GET", f"{EVENTS}?after=999999999", accept="text/event-stream")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "collection=clouds", "all=1"])
async def test_a_wish_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    assert (await api.ask("GET", f"{EVENTS}?{query}")).status_code in {400, 422}


async def test_pages_lead_through_all_events(api: Api) -> None:
    await made(api, "paged")
    seen: list[int] = []
    after = 0
    while page := (await api.ask("GET", f"{EVENTS}?after={after}&limit=2")).json():
        if not page["items"]:
            break
        seen += [event["id"] for event in page["items"]]
        after = page["next"]
    whole = (await api.ask("GET", f"{EVENTS}?limit=1000")).json()["items"]
    assert seen == [event["id"] for event in whole] == sorted(set(seen))


async def test_a_token_sees_only_what_it_may_list(api: Api) -> None:
    await made(api, "hidden")
    async with await api.reader(Scope("read", "other")) as stranger:
        assert (await stranger.get(EVENTS)).json()["items"] == []
    async with await api.reader(Scope("keys.page", "mock")) as narrow:
        items = (await narrow.get(f"{EVENTS}?limit=1000")).json()["items"]
    assert {event["collection"] for event in items} <= {"keys"}


async def test_a_revoked_token_ends_its_stream(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbi.frontends.native.events.HEARTBEAT_S", 0.1)
    secret = await token(api.broker, Scope("read"))
    async with listening(api, secret=secret) as listener:
        await listener.next()
        owner = await api.broker.people.caller_of(secret, None)
        await api.broker.people.revoke(owner.id)
        while await asyncio.wait_for(listener._parts.get(), 10):
            pass


async def test_webhooks_are_kept_and_their_secret_is_told_once(api: Api) -> None:
    wish = {"url": "https://93.184.215.14/hook", "collections": ["instances"]}
    made = await api.ask("POST", "/v1/webhooks", wish)
    assert made.status_code == 201, made.text
    secret, id = made.json()["secret"], made.json()["webhook"]["id"]
    shown = await api.ask("GET", f"/v1/webhooks/{id}")
    every = await api.ask("GET", "/v1/webhooks")
    assert shown.json() == made.json()["webhook"]
    assert secret not in shown.text + every.text
    assert (await api.ask("POST", f"/v1/webhooks/{id}/enable")).status_code == 200
    assert (await api.ask("DELETE", f"/v1/webhooks/{id}")).status_code == 204
    assert (await api.ask("GET", f"/v1/webhooks/{id}")).status_code == 404


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://169.254.169.254/latest/", "file:///etc/passwd", "x"]
)
async def test_a_webhook_that_would_reach_inside_is_refused(api: Api, url: str) -> None:
    answer = await api.ask("POST", "/v1/webhooks", {"url": url})
    assert answer.status_code in {403, 422}, answer.text


async def test_drivers_tell_what_a_login_is_made_of(api: Api) -> None:
    [driver] = (await api.ask("GET", "/v1/drivers")).json()["items"]
    assert "instances.start" in driver["operations"]
    assert "user_data" in driver["features"]["instances"]
    assert driver == (await api.ask("GET", "/v1/drivers/mock")).json()
    assert "password" in json.dumps(driver["credentials"])
    assert (await api.ask("GET", "/v1/drivers/none")).status_code == 404
