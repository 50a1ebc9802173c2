"""Handing one connection on to another."""

import asyncio
import socket

from nimbi.qemu.network.relay import End


async def end_and_peer() -> tuple[End, socket.socket]:
    """Return one end, and what speaks to it."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    _, end = await asyncio.get_running_loop().create_connection(End, sock=near)
    return end, far


async def test_what_comes_before_there_is_another_end_is_handed_on_in_order() -> None:
    loop = asyncio.get_running_loop()
    (first, client), (second, server) = await end_and_peer(), await end_and_peer()
    # As Python before 3.11.4 does, which reads once in spite of the pause.
    first.data_received(b"one ")
    assert first.eof_received()
    second.data_received(b"hello")
    first.join(second)
    async with asyncio.timeout(10):
        assert await loop.sock_recv(server, 100) == b"one "
        assert await loop.sock_recv(server, 100) == b""
        assert await loop.sock_recv(client, 100) == b"hello"
        server.close()
        assert await loop.sock_recv(client, 100) == b""
    client.close()
