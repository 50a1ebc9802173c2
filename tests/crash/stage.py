"""Where a scene is played: a database, clouds that outlive processes, and a broker over both."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from tests.crash.points import Points
from tests.crash.scenes import FAULTS, OWNER, Scene
from tests.targets.postgres import Server

from nimbi.broker.job_audit import JobAudit
from nimbi.broker.site import Broker, assembled
from nimbi.drivers.mock import driver_over
from nimbi.drivers.mock.cloud import MockCloud, Settings
from nimbi.drivers.mock.session import LOGIN
from nimbi.drivers.mock.world import State
from nimbi.gateway.clouds import Clouds
from nimbi.gateway.registry import Registry
from nimbi.jobs import Jobs, Kind, Pace, Work
from nimbi.model.accounts import NewAccount
from nimbi.model.jobs import Job
from nimbi.store.database import Database, open_database
from nimbi.store.jobs import JobStore
from nimbi.store.leases import LeaseStore
from nimbi.store.place import place_of, url_of
from nimbi.store.schema import holdings, intents, leases
from nimbi.store.sealing import Keyring

# So that all processes have the same; base64 of 32 bytes that are no secret.
KEYS = "test:" + "bmltYmkgdGVzdHMgbmltYmkgdGVzdHMgbmltYmkgISE="
CREDENTIALS = {"user": LOGIN.user, "password": LOGIN.password}
# A living process is never taken for dead, however busy the machine; see `Stage.let_go`.
PACE = Pace(lease_s=600.0, keep_s=5.0, look_s=0.1, idle_look_s=0.1)
TABLES = ("instances", "volumes", "snapshots", "addresses", "images", "keys", "networks")


@dataclass(frozen=True)
class Stage:
    """One database and the folder of the clouds; `name` is of PostgreSQL's database, if that."""

    url: str
    folder: Path

    def cloud(self, account: str, faults: str = "none") -> MockCloud:
        """Return the cloud of an account, as all processes see it."""
        settings = Settings(storage=str(self.folder / f"cloud-{account}"), faults=FAULTS[faults])
        return MockCloud(settings)

    @asynccontextmanager
    async def opened(
        self, scene: Scene, points: Points | None = None, faults: str = "none"
    ) -> AsyncIterator[Broker]:
        """Give the broker of one process."""
        registry = Registry({})
        async with AsyncExitStack() as stack:
            for account in scene.accounts:
                cloud = self.cloud(account, faults)
                stack.callback(cloud.close)
                if points is not None:
                    points.watch(cloud)
                registry.add(replace(driver_over(cloud), name=f"mock-{account}"))
            database = await stack.enter_async_context(open_database(self.url, upgrade=False))
            clouds = Clouds(registry, {}, self.folder)
            stack.push_async_callback(clouds.aclose)
            keyring = Keyring.of(KEYS)
            broker = assembled(database, keyring, clouds, registry, private=True)
            stack.push_async_callback(broker.inventory.aclose)
            broker = _hastened(broker, database, keyring)
            broker.jobs.add(*scene.kinds(broker))
            yield broker

    async def let_go(self, holder: str) -> None:
        """Have the leases of a dead process run out."""
        async with (
            open_database(self.url, upgrade=False) as database,
            database.writing() as connection,
        ):
            ours = update(leases).where(leases.c.holder == holder)
            await connection.execute(ours.values(until_us=0))


def _hastened(broker: Broker, database: Database, keyring: Keyring) -> Broker:
    """Return the same broker with jobs that notice a dead process sooner."""
    store = JobStore(database, keyring, JobAudit(broker.audit))
    parts = (store, LeaseStore(database), database.place, tuple(broker.jobs.kinds.values()))
    jobs = Jobs(*parts, holder=broker.holder, pace=PACE)
    return replace(broker, jobs=jobs)


async def _nothing(_work: Work, _wish: None) -> None:
    return None


async def prepare(stage: Stage, scene: Scene) -> None:
    """Make the tables, ours and the engine's, and the accounts."""
    async with open_database(stage.url):
        pass
    async with stage.opened(scene) as broker:
        for account in scene.accounts:
            new = NewAccount(id=account, driver=f"mock-{account}", credentials=CREDENTIALS)
            await broker.accounts.create(new, test=False)
        await scene.arrange(broker)
        broker.jobs.add(Kind("first", type(None), _nothing, "The first job of all."))
        async with broker.jobs.running():
            await broker.jobs.start("first", None, OWNER, id="first")
            await broker.jobs.wait("first", 60)


def copied(stage: Stage, folder: Path, server: Server | None) -> Stage:
    """Return a stage that is like another, and its own."""
    folder.mkdir()
    for one in stage.folder.iterdir():
        if one.name.startswith("cloud-"):
            shutil.copytree(one, folder / one.name)
    place = place_of(stage.url)
    if place.file is not None:
        for one in place.file.parent.glob(f"{place.file.name}*"):
            shutil.copy(one, folder)
        return Stage(url_of(folder / place.file.name), folder)
    assert server is not None
    return Stage(server.new_database(str(place.url.database)), folder)


@dataclass(frozen=True)
class End:
    """What there is when all is over: things by collection and name, and how the job ended."""

    job: tuple[str, Any, Any]
    things: Mapping[str, int]
    open_intents: int
    reserved: int


def end_of(stage: Stage, scene: Scene, job: str) -> End:
    """Look at the clouds themselves, and at the database."""
    things: Counter[str] = Counter()
    for account in scene.accounts:
        cloud = stage.cloud(account)
        try:
            things.update(_things(account, cloud.world.state))
        finally:
            cloud.close()
    found, open_intents, reserved = asyncio.run(_kept(stage, job))
    error = found.error.code if found.error else None
    result = scene.plain(found.result)
    return End((found.state.value, error, result), things, open_intents, reserved)


def _things(account: str, state: State) -> list[str]:
    named = []
    for table in TABLES:
        for thing in getattr(state, table).whole.items:
            name = getattr(thing, "name", None) or thing.id
            held = getattr(thing, "instance_id", None)
            named.append(f"{account} {table} {name}{' attached' if held else ''}")
    for bucket, blobs in state.blobs.items():
        named += [
            f"{account} blob {bucket}/{blob.id} {blob.size_bytes} {blob.content_type}"
            for blob in blobs.whole.items
        ]
    named += [f"{account} upload {upload.new.id}" for upload in state.uploads.whole.items]
    return named


async def _kept(stage: Stage, job: str) -> tuple[Job, int, int]:
    async with open_database(stage.url, upgrade=False) as database:
        found = await JobStore(database, Keyring.of(KEYS)).get(job)
        async with database.reading() as connection:
            count = select(func.count()).select_from(intents).where(~intents.c.is_done)
            open_intents = (await connection.execute(count)).scalar_one()
            held = select(func.count()).select_from(holdings).where(holdings.c.state == "reserved")
            reserved = (await connection.execute(held)).scalar_one()
    return found, int(open_intents), int(reserved)
