"""The console of a machine that never was."""

import asyncio

from nimbi.drivers.mock.world import Boot
from nimbi.model.consoles import ConsoleKind
from nimbi.model.errors import Conflict
from nimbi.model.instances import Instance, InstanceState

LONGEST_BYTES = 64 * 1024

# RFC 6143, 7.1.1: the server of a screen speaks first.
GREETINGS = {ConsoleKind.SERIAL: "{id} login: ", ConsoleKind.VNC: "RFB 003.008\n"}


def console_text(instance: Instance, boot: Boot | None) -> bytes:
    """Return the end of what the instance would have written, at most 64 KiB."""
    lines = [
        f"[    0.000000] Nimbi mock cloud: booting {instance.image_id}".encode(),
        f"[    0.100000] hostname {instance.id}".encode(),
    ]
    if boot is not None:
        lines += [
            f"[    0.200000] file {file.path}: {len(file.content)} bytes".encode()
            for file in boot.files
        ]
    if boot is not None and boot.user_data is not None:
        lines += [b"[    0.300000] user data:", boot.user_data]
    if instance.state is InstanceState.STOPPED:
        lines.append(b"[    1.000000] Power down")
    else:
        lines.append(f"{instance.id} login: ".encode())
    return b"\n".join(lines)[-LONGEST_BYTES:]


class EchoingConsole:
    """A console that says again what it is told; a ConsoleStream. Nobody else sees its bytes."""

    def __init__(self, greeting: bytes) -> None:
        self._said = bytearray(greeting)
        self._closed = False
        self._change = asyncio.Condition()

    async def read(self) -> bytes:
        async with self._change:
            await self._change.wait_for(lambda: self._said or self._closed)
            if self._closed:
                return b""
            said = bytes(self._said[:LONGEST_BYTES])
            del self._said[:LONGEST_BYTES]
            self._change.notify_all()
            return said

    async def write(self, data: bytes) -> None:
        async with self._change:
            await self._change.wait_for(lambda: len(self._said) < LONGEST_BYTES or self._closed)
            if self._closed:
                raise Conflict("the console is closed")
            self._said += data
            self._change.notify_all()

    async def aclose(self) -> None:
        async with self._change:
            self._closed = True
            self._change.notify_all()
