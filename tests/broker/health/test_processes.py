"""Three processes on one PostgreSQL: each check is made by one, and by others when that dies."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.broker.health.ward import Machine, standing
from tests.broker.sites import CREDENTIALS, soon
from tests.targets.postgres import Server

from nimbi.broker.access import ADMIN
from nimbi.broker.site import Broker, assembled
from nimbi.drivers.mock import DRIVER
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.model.accounts import NewAccount
from nimbi.model.alerts import AlertState
from nimbi.model.checks import CheckState, NewCheck, Probe, ProbeKind
from nimbi.store.database import open_database
from nimbi.store.keys import new_key
from nimbi.store.sealing import Keyring

ROOT = Path(__file__).parents[3]
HOLDERS = ("first", "second", "third")


@pytest.fixture
async def told(postgresql: Server, tmp_path: Path) -> dict[str, Any]:
    url = postgresql.new_database()
    async with open_database(url):
        pass
    return {"url": url, "key": new_key(), "place": str(tmp_path)}


@pytest.fixture
async def broker(told: dict[str, Any], tmp_path: Path) -> AsyncIterator[Broker]:
    """Give the broker of this very process, which makes no checks."""
    registry = Registry({"mock": replace(DRIVER, name="mock")})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(told["url"], upgrade=False))
        clouds = Clouds(registry, {"mock": {"storage": str(tmp_path / "cloud")}}, tmp_path / "own")
        stack.push_async_callback(clouds.aclose)
        found = assembled(database, Keyring.of(told["key"]), clouds, registry, private=True)
        stack.push_async_callback(found.inventory.aclose)
        new = NewAccount(id="one", driver="mock", credentials=CREDENTIALS)
        await found.accounts.create(new, test=False)
        yield found


@pytest.fixture
def three(told: dict[str, Any], broker: Broker) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    found = {}
    for holder in HOLDERS:
        argument = json.dumps(told | {"holder": holder})
        found[holder] = subprocess.Popen(
            [sys.executable, "-m", "tests.broker.health.server", argument],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    for process in found.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    yield found
    for process in found.values():
        process.kill()
        process.communicate()


async def test_a_check_is_made_once_and_by_another_when_its_process_is_killed(
    broker: Broker, three: dict[str, "subprocess.Popen[str]"]
) -> None:
    async with standing(Machine()) as machine, standing(Machine(is_mute=True)) as slow:
        quick = await made(broker, machine, every_s=3600)

        async def is_up() -> bool:
            return (await broker.health.check(ADMIN, quick)).state is CheckState.UP

        await soon(is_up)
        # A check that hangs: whoever holds it is killed in the midst of it.
        hung = await made(broker, slow, every_s=3600, failures=1)

        async def is_asked() -> bool:
            return bool(slow.taken)

        await soon(is_asked)
        holder = await column(broker, hung, "holder")
        three[holder].kill()
        slow.is_mute = False

        async def is_taken_over() -> bool:
            return (await broker.health.check(ADMIN, hung)).state is CheckState.UP

        await soon(is_taken_over)
        assert await column(broker, hung, "holder") != holder
        assert len(slow.taken) == 2
        # One hour has not passed, and three processes looked all the time.
        assert len(machine.taken) == 1
        for id in (quick, hung):
            assert await counted(broker, id) == (1, 0)


async def test_an_alert_is_one_and_told_once_by_three_processes(
    broker: Broker, three: dict[str, "subprocess.Popen[str]"]
) -> None:
    async with standing(Machine(answer=b"HTTP/1.1 500 Oh\r\n\r\n")) as machine:
        ids = [await made(broker, machine, every_s=3600, failures=1) for _ in range(10)]

        async def is_told() -> bool:
            return len(await events(broker)) == len(ids)

        await soon(is_told)
        alerts = await broker.health.alerts(ADMIN)
        assert sorted(alert.source for alert in alerts) == sorted(ids)
        assert {alert.state for alert in alerts} == {AlertState.FIRING}
        assert len(machine.taken) == len(ids)
        assert sorted(await events(broker)) == sorted(alert.id for alert in alerts)


async def made(broker: Broker, machine: Machine, **more: Any) -> str:
    probe = Probe(kind=ProbeKind.HTTP, port=machine.port, timeout_s=30)
    new = NewCheck(name="web", account="one", instance_id="inst0", probe=probe, **more)
    return (await broker.health.create_check(ADMIN, new)).id


async def events(broker: Broker) -> list[str]:
    found = await broker.events.after(0, 1000)
    return [event.thing_id for event in found if event.collection == "alerts"]


async def column(broker: Broker, id: str, name: str) -> str:
    async with broker.database.reading() as connection:
        wish = f"select {name} from checks where id = '{id}'"
        return str((await connection.exec_driver_sql(wish)).scalar_one())


async def counted(broker: Broker, id: str) -> tuple[int, int]:
    from nimbi.store.counts import CountStore

    since = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
    return await CountStore(broker.database).tally([id], since)
