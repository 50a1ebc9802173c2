"""What a guest shows on its screen, as a picture."""

import asyncio
import re
import secrets
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

from nimbi.qemu.errors import Failed
from nimbi.qemu.guests.qmp import conversation
from nimbi.qemu.guests.record import QMP

PNG = b"\x89PNG\r\n\x1a\n"
PLAIN = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")
"""The head of a PPM as QEMU writes it: width, height, then three bytes a point."""

TRUE_COLOUR = 2
PREFIX = ".screen-"
LEFT_S = 60.0
MAX_BYTES = 64 * 2**20
FAST = 1
"""A level of compression: a picture is looked at once."""


async def screenshot(directory: Path) -> bytes:
    """Return the screen of the guest that lives in `directory`, as PNG. Raises Failed."""
    name = f"{PREFIX}{secrets.token_hex(8)}"
    file = directory / name
    try:
        await asyncio.to_thread(_sweep, directory)
        async with conversation(directory / QMP) as talk:
            # QEMU's working directory is the guest's own.
            try:
                await talk.ask("screendump", {"filename": name, "format": "png"})
            except Failed:
                # Before 7.1, or built without libpng.
                await talk.ask("screendump", {"filename": name})
        return await asyncio.to_thread(_read, file)
    except OSError as error:
        raise Failed("the screen cannot be read") from error
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _sweep(directory: Path) -> None:
    """Remove what servers that were killed have left."""
    for file in directory.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > LEFT_S:
                file.unlink()


def _read(file: Path) -> bytes:
    if file.stat().st_size > MAX_BYTES:
        raise Failed("the screen is too large for a picture")
    picture = file.read_bytes()
    return picture if picture.startswith(PNG) else from_ppm(picture)


def from_ppm(picture: bytes) -> bytes:
    """Return a plain picture as PNG. Raises Failed for what is none.

    Source: PNG specification, 5.3 (chunks) and 9 (filter 0 before each row).
    """
    head = PLAIN.match(picture)
    if head is None:
        raise Failed("QEMU gave no picture")
    width, height = int(head[1]), int(head[2])
    row = 3 * width
    points = memoryview(picture)[head.end() :]
    if not (width and height) or len(points) != row * height:
        raise Failed("QEMU gave half a picture")
    rows = b"".join(b"\0" + points[at : at + row] for at in range(0, len(points), row))
    facts = struct.pack(">IIBBBBB", width, height, 8, TRUE_COLOUR, 0, 0, 0)
    parts = ((b"IHDR", facts), (b"IDAT", zlib.compress(rows, FAST)), (b"IEND", b""))
    return PNG + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
