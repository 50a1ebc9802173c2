"""Three processes on one PostgreSQL, one of them killed: nothing is doubled, its work goes on."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.broker.server import make, opened
from tests.broker.sites import Site, soon
from tests.targets.postgres import Server

from nimbi.driver.compute import Instances
from nimbi.model.accounts import PartState
from nimbi.model.instances import NewInstance
from nimbi.model.inventory import EventKind
from nimbi.store.database import open_database
from nimbi.store.keys import new_key

ACCOUNTS = ("one", "two", "three", "four")
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def told(postgresql: Server, tmp_path: Path) -> dict[str, Any]:
    url = postgresql.new_database()
    async with open_database(url):
        pass
    return {"url": url, "key": new_key(), "place": str(tmp_path), "accounts": ACCOUNTS}


@pytest.fixture
async def site(told: dict[str, Any]) -> AsyncIterator[Site]:
    """Give the broker of this very process, which polls nothing."""
    async with opened(told, "watcher", {}) as found:
        for account in ACCOUNTS:
            await found.enter(account, f"mock-{account}")
        yield found


class Process:
    """A server; `lines` are what it has said so far."""

    def __init__(self, told: dict[str, Any], holder: str, count: int) -> None:
        argument = json.dumps(told | {"holder": holder, "count": count})
        self.holder = holder
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.broker.server", argument],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, word: str, count: int = 1) -> list[list[str]]:
        """Return what it says up to the n-th line that begins so."""
        said = []
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            said.append(json.loads(line))
            count -= said[-1][0] == word
            if not count:
                return said
        pytest.fail(f"{self.holder} ended after {said}")

    def kill(self) -> list[list[str]]:
        """Kill it, and return what it had said."""
        if self.popen.poll() is not None:
            return []
        self.popen.kill()
        rest, _ = self.popen.communicate()
        return [json.loads(line) for line in rest.splitlines() if line.endswith("]")]


@pytest.fixture
def three(told: dict[str, Any], site: Site) -> Iterator[list[Process]]:
    found = [Process(told, "first", 400), Process(told, "second", 4), Process(told, "third", 4)]
    yield found
    for process in found:
        process.kill()


async def names(site: Site) -> Counter[str | None]:
    """Return what the clouds hold, by the tokens of the wishes."""
    found: Counter[str | None] = Counter()
    for account in ACCOUNTS:
        async with site.cloud(account) as cloud:
            async for instance in cloud.each(Instances.page):
                found[instance.name] += 1
    return found


async def test_one_of_three_is_killed_while_it_polls_and_makes_things(
    site: Site, three: list[Process]
) -> None:
    first, second, third = three
    said = first.until("made", 3)
    said += first.kill()
    for other in (second, third):
        said += other.until("over")
    wished = {token: account for word, account, token, *_ in _calls(said) if word == "begins"}
    made = {token for word, _, token, *_ in _calls(said) if word == "made"}
    # Clients whose answers were lost ask again, and somebody else answers.
    for token in sorted(wished.keys() - made):
        await make(site, wished[token], token, "watcher")
    held = await names(site)
    assert {held[token] for token in wished} == {1}

    await soon(lambda: _nobody_waits_for(site, "first"))
    for account in ACCOUNTS:
        async with site.cloud(account) as cloud:
            await cloud.call(Instances.create, NewInstance(image_id="img1", name=f"new-{account}"))
    for account in ACCOUNTS:
        await soon(lambda account=account: _knows(site, account, f"new-{account}"))
    listing = await site.list(limit=1000)
    assert {part.state for part in listing.parts} == {PartState.OK}
    assert len(listing.items) == (await names(site)).total()

    events = await site.events.after(0, 1000, collections=("instances",))
    appeared = Counter((e.account, e.thing_id) for e in events if e.kind is EventKind.APPEARED)
    assert set(appeared.values()) == {1}
    assert not [e for e in events if e.kind is EventKind.VANISHED]
    assert await site.intents.abandoned() == ()


def _calls(said: list[list[str]]) -> list[list[str]]:
    return [line for line in said if len(line) > 2]


async def _nobody_waits_for(site: Site, holder: str) -> bool:
    held = await site.inventory._poller._leases.held("poll/")
    return holder not in held.values() and len(held) == len(ACCOUNTS)


async def _knows(site: Site, account: str, name: str) -> bool:
    await site.store.polls.hurry(account, "instances", datetime.now(UTC))
    return bool((await site.list(accounts=(account,), filters={"name": name})).items)
