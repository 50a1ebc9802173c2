"""Connections to the unix sockets of guests."""

import asyncio
import os
from pathlib import Path

LIMIT = 64 * 2**10


async def dial(
    socket: Path, limit: int = LIMIT
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a socket, however long its path is. Raises OSError when nobody listens.

    `limit` is how long a line may be, and half of what is read before somebody takes it.
    """
    # A unix socket's path holds 107 bytes at most; through the directory's descriptor any fits.
    directory = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        return await asyncio.open_unix_connection(
            f"/proc/self/fd/{directory}/{socket.name}", limit=limit
        )
    finally:
        os.close(directory)
