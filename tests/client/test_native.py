"""The client against the server itself, with the mock cloud behind an account."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.desk import QUICK, WAYS, Way, opened, served

from nimbi.cli.here import first_token
from nimbi.client import Client, InProcess, SyncClient
from nimbi.client.events import thing_of
from nimbi.client.transport import AsyncAnswer, Request
from nimbi.driver.blobs import Blobs
from nimbi.driver.compute import Instances
from nimbi.model.accounts import AccountChange, NewAccount
from nimbi.model.buckets import BlobCondition, ByteRange, NewBlob, NewBucket
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import (
    CloudError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    UnknownOutcome,
)
from nimbi.model.instances import InstanceState, NewInstance
from nimbi.model.tokens import NewToken, Scope
from nimbi.server import build_app
from nimbi.settings import Settings

LOGIN = {"user": "mockuser", "password": "mockpassword"}
MOCK = NewAccount(id="mock", driver="mock", credentials=LOGIN)
NEW = NewInstance(image_id="img1", name="web")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=str(tmp_path / "state"),
        driver="nimbi",
        frontends=("native", "consoles"),
        polls=False,
        log=str(tmp_path / "log"),
    )


@pytest.fixture
async def token(settings: Settings) -> str:
    settings.state_path().mkdir(mode=0o700)
    return await first_token(settings)


@pytest.fixture(params=WAYS)
async def way(request: pytest.FixtureRequest, settings: Settings, token: str) -> AsyncIterator[Way]:
    async with opened(request.param, build_app(settings), token) as found:
        await found.do(lambda client: client.accounts.create(MOCK))
        yield found


async def test_an_account_its_things_and_the_one_list(way: Way) -> None:
    made = await way.do(
        lambda client: client.account("mock").asking(wait_s=10).instances.create(NEW)
    )
    assert made.state is InstanceState.RUNNING
    found = await way.do(lambda client: client.instances.list(name="web", fresh=True))
    assert [(account, thing.id) for account, thing in found] == [("mock", made.id)]
    assert found.is_whole
    by_one = await way.all(lambda client: client.account("mock").each(Instances.page))
    assert made in by_one
    rows = await way.all(lambda client: client.instances.stream("mock"))
    assert len(rows) == len(by_one) + 1
    await way.do(lambda client: client.account("mock").instances.stop(made.id))
    with pytest.raises(Conflict):
        await way.do(lambda client: client.account("mock").rehearse(Instances.stop, made.id))
    await way.do(lambda client: client.account("mock").instances.destroy(made.id))
    with pytest.raises(NotFound) as gone:
        await way.do(lambda client: client.account("mock").instances.get(made.id))
    assert gone.value.request_id
    events = await way.do(lambda client: client.events.page(limit=1000, collection="instances"))
    assert [thing_of(event) and thing_of(event).state for event in events.items][-1] is None


async def test_a_console_opens_at_the_address_that_was_given(
    settings: Settings, token: str
) -> None:
    with served(build_app(settings), ws="websockets-sansio") as url:
        async with Client(url, token) as client:
            await client.accounts.create(MOCK)
            console = await client.account("mock").instances.open_console(
                "inst0", ConsoleKind.SERIAL
            )
            await console.write(b"echo\n")
            assert await console.read()
            await console.aclose()
            assert await console.read() == b""
        blocking = SyncClient(url, token)
        call = blocking.account("mock").instances.open_console
        ticket = await asyncio.to_thread(call, "inst0", ConsoleKind.VNC)
        assert ticket.url.startswith(url)
        assert ticket.url not in repr(ticket)
        blocking.close()


AWKWARD = ("a//b", "..", ".", "/", "ü ?#%2F+&", "x" * 200)


async def test_blobs_of_any_name_come_back_as_they_went(way: Way) -> None:
    blobs = "mock", "b-1"
    account, bucket = blobs
    await way.do(lambda client: client.account(account).buckets.create(NewBucket(name=bucket)))
    for id in AWKWARD:
        new = NewBlob(bucket_id=bucket, id=id, metadata={"owner": "Ännchen"}, content_type="a/b")
        content = id.encode() * 3
        stored = await way.do(
            lambda client, new=new, content=content: client.account(account).blobs.write(
                new, content
            )
        )
        assert (stored.id, stored.size_bytes) == (id, len(content))
        opened_blob = await way.do(
            lambda client, id=id: client.account(account).blobs.read(bucket, id, ByteRange(1))
        )
        got = b"".join(await way.all(lambda _client, blob=opened_blob: blob.chunks))
        assert got == content[1:]
        assert (opened_blob.blob.metadata, opened_blob.blob.content_type) == (
            {"owner": "Ännchen"},
            "a/b",
        )
        assert opened_blob.blob.etag == stored.etag
    listed = await way.all(lambda client: client.account(account).each(Blobs.page, bucket))
    assert {blob.id for blob in listed} == set(AWKWARD)
    known = BlobCondition(other_than=opened_blob.blob.etag)
    with pytest.raises(Conflict):
        await way.do(lambda client: client.account(account).blobs.read(bucket, id, None, known))
    other = BlobCondition(etag="other")
    with pytest.raises(Conflict):
        await way.do(lambda client: client.account(account).blobs.read(bucket, "..", None, other))
    only_new = NewBlob(bucket_id=bucket, id="..", only_new=True)
    with pytest.raises(Conflict):
        await way.do(lambda client: client.account(account).blobs.write(only_new, b"other"))


async def test_what_the_server_keeps(way: Way) -> None:
    def asked(call: Any) -> Any:
        return way.do(call)

    account = await asked(lambda client: client.accounts.get("mock"))
    change = AccountChange(tags={"team": "a"})
    changed = await asked(
        lambda client: client.accounts.change("mock", change, version=account.version)
    )
    assert changed.tags == {"team": "a"}
    with pytest.raises(Conflict):
        await asked(lambda client: client.accounts.change("mock", change, version=account.version))
    assert (await asked(lambda client: client.accounts.test("mock"))).health.state == "ok"
    assert (
        "instances.start"
        in (await asked(lambda client: client.accounts.capabilities("mock"))).operations
    )
    assert not (await asked(lambda client: client.accounts.disable("mock"))).is_enabled
    assert (await asked(lambda client: client.accounts.enable("mock"))).is_enabled
    wrong = NewAccount(id="wrong", driver="mock", credentials={"user": "x", "password": "y"})
    with pytest.raises(CloudError):
        await asked(lambda client: client.accounts.create(wrong))
    made = await asked(
        lambda client: client.tokens.create(NewToken(name="r", scopes=(Scope("read"),)))
    )
    assert made.token in await asked(lambda client: client.tokens.all())
    await asked(lambda client: client.tokens.revoke(made.token.id))
    with pytest.raises(NotFound):
        await asked(lambda client: client.tokens.revoke(made.token.id))
    assert "mock" in [driver.name for driver in await asked(lambda client: client.drivers.all())]
    assert await asked(lambda client: client.orphans.all()) == ()
    assert await asked(lambda client: client.webhooks.all()) == ()
    await asked(lambda client: client.accounts.destroy("mock"))
    assert await asked(lambda client: client.accounts.all()) == ()


class Losing:
    """A transport that loses the answers to the first requests of a method."""

    def __init__(self, inner: InProcess, method: str, times: int) -> None:
        self.inner = inner
        self.method = method
        self.times = times

    async def send(self, request: Request) -> AsyncAnswer:
        answer = await self.inner.send(request)
        if request.method == self.method and self.times:
            self.times -= 1
            await answer.read()
            raise UnknownOutcome("the answer was lost")
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_an_answer_that_is_lost_doubles_nothing(settings: Settings, token: str) -> None:
    transport = Losing(InProcess(build_app(settings)), "POST", times=0)
    async with Client(token=token, transport=transport, retries=QUICK) as client:
        await client.accounts.create(MOCK)
        account = client.account("mock")
        before = len((await account.instances.page(None, 100)).items)
        transport.times = 3
        made = await account.instances.create(NEW)
        assert transport.times == 0
        after = (await account.instances.page(None, 100)).items
        assert (len(after), [i.id for i in after].count(made.id)) == (before + 1, 1)
        await account.instances.stop(made.id)
        transport.method, transport.times = "DELETE", 1
        await account.instances.destroy(made.id)
        assert len((await account.instances.page(None, 100)).items) == before


async def test_one_key_is_for_one_wish(settings: Settings, token: str) -> None:
    transport = InProcess(build_app(settings))
    async with Client(token=token, transport=transport, retries=QUICK) as client:
        await client.accounts.create(MOCK)
        account = client.account("mock").asking(key="once")
        made = await account.instances.create(NEW)
        assert await account.instances.create(NEW) == made
        with pytest.raises(Invalid):
            await account.instances.create(NewInstance(image_id="img2"))


async def test_changes_are_told_as_they_happen(settings: Settings, token: str) -> None:
    transport = InProcess(build_app(settings))
    async with Client(token=token, transport=transport, retries=QUICK) as client:
        await client.accounts.create(MOCK)
        events = client.events.follow(0, collection="instances")
        first = asyncio.ensure_future(anext(events))
        made = await client.account("mock").instances.create(NEW)
        event = await asyncio.wait_for(first, 20)
        assert (event.account, event.thing_id, event.kind) == ("mock", made.id, "appeared")
        assert thing_of(event).name == "web"
        await events.aclose()


async def test_a_token_does_what_its_scopes_say_and_no_more(settings: Settings, token: str) -> None:
    transport = InProcess(build_app(settings))
    async with Client(token=token, transport=transport, retries=QUICK) as client:
        await client.accounts.create(MOCK)
        reading = await client.tokens.create(NewToken(name="r", scopes=(Scope("read"),)))
        reader = Client(token=reading.secret, transport=transport, retries=QUICK)
        assert (await reader.instances.list()).items
        with pytest.raises(Forbidden):
            await reader.account("mock").instances.create(NEW)
        with pytest.raises(Unauthorized):
            await Client(token="nimbi_wrong", transport=transport).accounts.all()
