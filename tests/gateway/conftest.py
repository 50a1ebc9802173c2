"""A cloud that answers by a script, for tests of what the gateway does around the answers."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nimbi.driver.blobs import Blobs
from nimbi.driver.compute import Images, Instances
from nimbi.driver.consoles import ConsoleStream
from nimbi.driver.interface import Account, Driver, Place
from nimbi.driver.states import StateMachine, Transition
from nimbi.gateway.audit import Audit, Hooks
from nimbi.gateway.cloud import Cloud
from nimbi.gateway.clouds import Clouds, collections_of
from nimbi.gateway.limits import DEFAULT_LIMITS, Limits, PoolLimits
from nimbi.gateway.registry import Registry
from nimbi.model.buckets import Blob, BlobCondition, BlobContent, BlobFailure, ByteRange, NewBlob
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import CloudError, Conflict
from nimbi.model.images import Image, ImageContent, NewUpload
from nimbi.model.instances import Instance, InstanceFilter, InstanceState, NewInstance
from nimbi.model.page import Page

STATES = StateMachine(
    (InstanceState.STOPPED, InstanceState.RUNNING),
    (
        Transition(InstanceState.RUNNING, InstanceState.RUNNING, "reboot"),
        Transition(InstanceState.RUNNING, InstanceState.STOPPED, "stop"),
        Transition(InstanceState.STOPPED, InstanceState.RUNNING, "start"),
        Transition(InstanceState.STOPPED, InstanceState.FINISH),
    ),
)


class Script:
    """What a cloud answers, by operation: one answer after the other, the last one for ever.

    An answer that is an exception is raised; one that is callable is called and awaited.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.starts: list[tuple[Any, Place]] = []
        self.accounts: list[Account] = []
        self.events: list[str] = []

    def __setitem__(self, operation: str, answers: list[Any]) -> None:
        self.answers[operation] = answers

    async def play(self, operation: str, *args: Any) -> Any:
        self.calls.append((operation, *args))
        queue = self.answers.get(operation, [None])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        return await answer(*args) if callable(answer) else answer


class ScriptedInstances(Instances):
    features = frozenset({"user_data"})

    def __init__(self, script: Script) -> None:
        self.script = script

    async def page(
        self, marker: str | None, limit: int, where: InstanceFilter = InstanceFilter()
    ) -> Page[Instance]:
        return await self.script.play("instances.page", marker, limit, where)

    async def get(self, id: str) -> Instance:
        return await self.script.play("instances.get", id)

    async def create(self, new: NewInstance) -> Instance:
        return await self.script.play("instances.create", new)

    async def create_many(self, new: NewInstance, count: int) -> tuple[Instance, ...]:
        return await self.script.play("instances.create_many", new, count)

    async def open_console(self, id: str, kind: ConsoleKind) -> ConsoleStream:
        return await self.script.play("instances.open_console", id, kind)

    async def stop(self, id: str) -> None:
        await self.script.play("instances.stop", id)

    async def reboot(self, id: str) -> None:
        await self.script.play("instances.reboot", id)

    async def destroy(self, id: str) -> None:
        await self.script.play("instances.destroy", id)


class ScriptedBlobs(Blobs):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def read(
        self,
        bucket_id: str,
        id: str,
        range: ByteRange | None = None,
        where: BlobCondition = BlobCondition(),
    ) -> BlobContent:
        return await self.script.play("blobs.read", bucket_id, id, range)

    async def write(self, new: NewBlob, chunks: AsyncIterator[bytes]) -> Blob:
        return await self.script.play("blobs.write", new, chunks)

    async def destroy(self, bucket_id: str, id: str) -> None:
        await self.script.play("blobs.destroy", bucket_id, id)

    async def destroy_many(self, bucket_id: str, ids: tuple[str, ...]) -> tuple[BlobFailure, ...]:
        return await self.script.play("blobs.destroy_many", bucket_id, ids)


class ScriptedImages(Images):
    def __init__(self, script: Script) -> None:
        self.script = script

    async def read(self, id: str) -> ImageContent:
        return await self.script.play("images.read", id)

    async def upload(self, new: NewUpload, chunks: AsyncIterator[bytes]) -> Image:
        return await self.script.play("images.upload", new, chunks)


class ScriptedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int = 1


def to_error(error: Exception) -> CloudError | None:
    """Know a KeyError; break over a ZeroDivisionError, as a table with a slip in it would."""
    if isinstance(error, ZeroDivisionError):
        raise TypeError("the table is broken")
    return Conflict("known to the table") if isinstance(error, KeyError) else None


def driver_of(script: Script, **changes: Any) -> Driver[Script, Script]:
    @asynccontextmanager
    async def start(settings: Any, place: Place) -> AsyncIterator[Script]:
        script.starts.append((settings, place))
        await script.play("start")
        script.events.append("started")
        yield script
        script.events.append("ended")

    @asynccontextmanager
    async def open_session(backend: Script, account: Account) -> AsyncIterator[Script]:
        script.accounts.append(account)
        await backend.play("open", account)
        script.events.append("opened")
        yield backend
        await backend.play("close", account)
        script.events.append("closed")

    driver = Driver(
        name="scripted",
        title="A script",
        start=start,
        open=open_session,
        collections=(ScriptedInstances, ScriptedBlobs, ScriptedImages),
        instance_states=STATES,
        settings=ScriptedSettings,
        to_error=to_error,
    )
    return replace(driver, **changes)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def driver(script: Script) -> Driver[Script, Script]:
    return driver_of(script)


@pytest.fixture
def make_driver(script: Script) -> Callable[..., Driver[Script, Script]]:
    def make(**changes: Any) -> Driver[Script, Script]:
        return driver_of(script, **changes)

    return make


@pytest.fixture
def make_cloud(script: Script, driver: Driver[Script, Script]) -> Callable[..., Cloud]:
    """Make a cloud whose random pauses are always the longest."""

    def make(limits: Limits = DEFAULT_LIMITS, hooks: Hooks | None = None) -> Cloud:
        return Cloud(
            driver,
            collections_of(driver, script),
            limits=limits,
            audit=Audit(hooks) if hooks else None,
            session="5e55",
            random=lambda: 1.0,
        )

    return make


@pytest.fixture
def cloud(make_cloud: Callable[..., Cloud]) -> Cloud:
    return make_cloud()


@pytest.fixture
async def make_clouds(
    driver: Driver[Script, Script], tmp_path: Path
) -> AsyncIterator[Callable[..., Clouds]]:
    made: list[Clouds] = []

    def make(
        drivers: Mapping[str, Driver[Any, Any]] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        hooks: Hooks | None = None,
        **pool: Any,
    ) -> Clouds:
        registry = Registry(drivers or {"scripted": driver})
        limits = PoolLimits(**pool)
        made.append(
            Clouds(registry, settings or {}, tmp_path, hooks, pool=limits, random=lambda: 1.0)
        )
        return made[-1]

    yield make
    for clouds in made:
        await clouds.aclose()


@pytest.fixture
def instance() -> Callable[..., Instance]:
    def make(
        id: str = "i-1", state: InstanceState = InstanceState.RUNNING, **more: Any
    ) -> Instance:
        return Instance(
            id=id,
            name=None,
            owner_id=None,
            image_id=None,
            realm_id=None,
            hardware_profile_id=None,
            state=state,
            **more,
        )

    return make


@pytest.fixture
def blob() -> Callable[..., Blob]:
    def make(size_bytes: int = 6) -> Blob:
        return Blob(
            id="b", bucket_id="u", size_bytes=size_bytes, content_type=None,
            modified_at=None, etag=None,
        )  # fmt: skip

    return make
