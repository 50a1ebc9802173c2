"""Whether machines answer: over real connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.broker.work.shop import Shop, launch

from nimbi.broker.work.answers import answers
from nimbi.model.instances import AddressKind, Endpoint, Instance, InstanceState, Login
from nimbi.model.work import AnswerKind, Answers, Launched
from nimbi.wire.destinations import Reach

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(said: bytes, *, asked: bool = False) -> AsyncIterator[int]:
    """Give the port of a server that says something, once it is asked if it is to be."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked:
            await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def machine(port: int | None = None, **more: object) -> Instance:
    return Instance(
        id="i-1",
        name="web",
        owner_id=None,
        image_id=None,
        realm_id=None,
        hardware_profile_id=None,
        state=InstanceState.RUNNING,
        public_addresses=(
            Endpoint("aa:bb", AddressKind.MAC),
            Endpoint("127.0.0.1", port=port),
        ),
        **more,  # type: ignore[arg-type]
    )


async def seen(
    shop: Shop, instance: Instance, wanted: Answers, reach: Reach = Reach.PRIVATE
) -> bool:
    async with shop.whole.broker.accounts.use("a") as cloud:
        return await answers(cloud, instance, wanted, reach)


@pytest.mark.parametrize(
    ("said", "is_ssh"), [(b"SSH-2.0-x\r\n", True), (b"220 mail\r\n", False), (b"", False)]
)
async def test_ssh_greets(shop: Shop, said: bytes, is_ssh: bool) -> None:
    async with talking(said) as port:
        wanted = Answers(kind=AnswerKind.SSH, port=port)
        assert await seen(shop, machine(), wanted) is is_ssh


async def test_ssh_is_at_the_port_that_the_cloud_tells(shop: Shop) -> None:
    async with talking(b"SSH-2.0-x\r\n") as port:
        assert await seen(shop, machine(port), Answers(kind=AnswerKind.SSH))
        with_login = machine(login=Login(port=port))
        assert await seen(shop, with_login, Answers(kind=AnswerKind.SSH))


@pytest.mark.parametrize(
    ("said", "is_well"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 404 No\r\n\r\n", True),
        (b"HTTP/1.1 503 Wait\r\n\r\n", False),
        (b"hello\r\n", False),
        (b"x" * 5000, False),
    ],
)
async def test_http_is_answered_below_500(shop: Shop, said: bytes, is_well: bool) -> None:
    async with talking(said, asked=True) as port:
        wanted = Answers(kind=AnswerKind.HTTP, port=port, path="/health")
        assert await seen(shop, machine(), wanted) is is_well


async def test_who_does_not_listen_does_not_answer(shop: Shop) -> None:
    async with talking(b"") as port:
        pass
    assert not await seen(shop, machine(), Answers(kind=AnswerKind.SSH, port=port))


async def test_addresses_out_of_reach_are_never_called(shop: Shop) -> None:
    async with talking(b"SSH-2.0-x\r\n") as port:
        wanted = Answers(kind=AnswerKind.SSH, port=port)
        assert not await seen(shop, machine(), wanted, Reach.PUBLIC)


async def test_the_agent_is_read_on_the_console(shop: Shop) -> None:
    (id,) = (await shop.did("launch", launch(), Launched)).ids
    instance = next(one for one in shop.instances() if one.id == id)
    assert await seen(shop, instance, Answers(kind=AnswerKind.AGENT, text="login:"))
    assert not await seen(shop, instance, Answers(kind=AnswerKind.AGENT))
