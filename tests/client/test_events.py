"""Changes as they are told: no one twice, none left out, over connections that break."""

import json
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import pytest
from tests.client.desk import WAYS, Desk, Reply, Way, opened, problem

from nimbi.client.events import EventLines, thing_of
from nimbi.model.errors import CloudError, Unauthorized
from nimbi.model.instances import InstanceState

INSTANCE = {
    "id": "i-1",
    "state": "stopped",
    **dict.fromkeys(("name", "owner_id", "image_id", "realm_id", "hardware_profile_id")),
}


def event(id: int) -> dict[str, Any]:
    return {
        "id": id,
        "at": "2026-01-02T03:04:05Z",
        "account": "aws",
        "collection": "instances",
        "thing_id": f"i-{id}",
        "kind": "changed",
        "body": INSTANCE,
    }


def block(id: int) -> bytes:
    return f"id: {id}\nevent: changed\ndata: {json.dumps(event(id))}\n\n".encode()


AGAIN = b"retry: 0\n\n"
BEAT = b": nothing new\n\n"


@pytest.fixture
def desk() -> Desk:
    return Desk(
        Reply(200, chunks=(AGAIN, block(7), BEAT + block(8)[:30]), breaks_off=True),
        Reply(200, chunks=(AGAIN + block(8)[:5], block(8)[5:] + block(9))),
        problem("unauthorized", 401),
    )


@pytest.fixture(params=WAYS)
async def way(request: pytest.FixtureRequest, desk: Desk) -> AsyncIterator[Way]:
    async with opened(request.param, desk) as found:
        yield found


async def test_a_stream_that_breaks_goes_on_after_the_last_event_that_came_whole(
    way: Way, desk: Desk
) -> None:
    seen: list[int] = []

    def noted(client: Any) -> Any:
        stream = client.events.follow(6, account="aws")
        if hasattr(stream, "__next__"):
            return (seen.append(found.id) for found in stream)

        async def looping() -> AsyncIterator[None]:
            async for found in stream:
                seen.append(found.id)
                yield

        return looping()

    with pytest.raises(Unauthorized):
        await way.all(noted)
    assert seen == [7, 8, 9]
    assert [asked.headers["last-event-id"] for asked in desk.asked] == ["6", "7", "9"]
    assert desk.asked[0].target == "/v1/events?account=aws"


async def test_events_may_be_asked_for_a_page_at_a_time(way: Way, desk: Desk) -> None:
    desk.replies = [Reply(200, {"items": [event(3)], "next": 3})]
    page = await way.do(lambda client: client.events.page(2, limit=1, collection=["a", "b"]))
    assert [found.id for found in page.items] == [3]
    assert desk.asked[0].target == "/v1/events?after=2&limit=1&collection=a&collection=b"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_read_however_their_bytes_are_cut(size: int) -> None:
    whole = b"retry: 250\n\n" + b"".join(block(id) for id in range(5)) + BEAT
    lines = EventLines(None)
    rest = iter(whole)
    found = []
    while piece := bytes(islice(rest, size)):
        found += [event.id for event in lines.feed(piece)]
    assert found == [0, 1, 2, 3, 4]
    assert (lines.last, lines.again_s) == (4, 0.25)


def test_an_event_holds_the_thing_after_the_change() -> None:
    gone = json.dumps(event(2) | {"kind": "vanished", "body": None})
    lines = EventLines(None)
    changed, vanished = lines.feed(block(1) + f"data: {gone}\n\n".encode())
    assert thing_of(changed).state is InstanceState.STOPPED
    assert thing_of(vanished) is None


def test_what_is_no_event_is_told_as_an_answer_that_is_not_of_the_api() -> None:
    with pytest.raises(CloudError, match="no event of the API"):
        list(EventLines(None).feed(b"data: {}\n\n"))
