"""Consoles: the address that the server gives, and the WebSocket behind it."""

from datetime import datetime
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from nimbi.driver.consoles import ConsoleStream
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import CloudUnavailable, Conflict

if TYPE_CHECKING:
    from ssl import SSLContext

# What a screen sends at once may be its whole picture.
MESSAGE_BYTES = 64 * 2**20


class ConsoleTicket(msgspec.Struct, frozen=True, kw_only=True):
    """Where a console opens once, as a WebSocket whose messages are the console's bytes."""

    url: str
    instance_id: str
    kind: ConsoleKind
    expires_at: datetime

    def __repr__(self) -> str:
        return f"ConsoleTicket(instance_id={self.instance_id!r}, kind={self.kind!r}, …)"


async def connected(ticket: ConsoleTicket, tls: "SSLContext | None") -> ConsoleStream:
    """Return the open console. Raises CloudUnavailable when it does not open."""
    session = aiohttp.ClientSession(trust_env=True)
    try:
        socket = await session.ws_connect(
            ticket.url,
            ssl=tls if tls is not None else True,
            max_msg_size=MESSAGE_BYTES,
            heartbeat=30.0,
        )
    except (aiohttp.ClientError, OSError) as error:
        await session.close()
        raise CloudUnavailable("the console did not open") from error
    except BaseException:
        await session.close()
        raise
    return _Stream(session, socket)


class _Stream:
    def __init__(
        self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._session = session
        self._socket = socket

    async def read(self) -> bytes:
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                if message.data:
                    return bytes(message.data)
            elif message.type is not aiohttp.WSMsgType.TEXT:
                return b""

    async def write(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except (aiohttp.ClientError, OSError) as error:
            raise Conflict("the console has ended") from error

    async def aclose(self) -> None:
        await self._socket.close()
        await self._session.close()
