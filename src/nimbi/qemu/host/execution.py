"""Running a program to its end, the same way on every event loop."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nimbi.qemu.errors import TimedOut

CHUNK_BYTES = 2**16


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a program ended. `truncated` says that it printed more than is given here."""

    exit_code: int
    out: bytes
    err: bytes
    truncated: bool


async def execute(
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    within_s: float,
    cwd: Path | None = None,
    stdin: bytes = b"",
    limit_bytes: int = 2**24,
) -> Outcome:
    """Run a program in a session of its own and return what it printed, each output up to a limit.

    What is more is thrown away, and the program goes on. It is killed when time runs out, which
    raises TimedOut, or when the caller is cancelled.
    """
    with _spawned(arguments, environment, cwd, stdin) as process:
        out, err = _Reader(process.stdout, limit_bytes), _Reader(process.stderr, limit_bytes)
        try:
            async with _ending(process.pid) as ended, out.reading(), err.reading():
                async with asyncio.timeout(within_s):
                    await ended.wait()
        except TimeoutError:
            name = Path(arguments[0]).name
            raise TimedOut(f"{name} did not end within {within_s:g} s") from None
        finally:
            process.kill()
            code = process.wait()
        # What it has left in the pipes; its own children may keep them open for ever.
        out.drain()
        err.drain()
        cut = out.truncated or err.truncated
        return Outcome(exit_code=code, out=bytes(out.kept), err=bytes(err.kept), truncated=cut)


@contextmanager
def _spawned(
    arguments: Sequence[str | Path], environment: Mapping[str, str], cwd: Path | None, stdin: bytes
) -> Iterator[subprocess.Popen[bytes]]:
    # A file, not a pipe: nobody has to feed it, and a program that does not read it does no harm.
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        with subprocess.Popen(  # noqa: S603  no shell, and the program is one of our table
            arguments,
            cwd=cwd,
            env=environment,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            yield process


@asynccontextmanager
async def _ending(pid: int) -> AsyncGenerator[asyncio.Event]:
    """Give an event that is set when the process ends; no signal handler is needed for it."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set)
    try:
        yield ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


class _Reader:
    """Keeps the start of what comes through a pipe."""

    def __init__(self, pipe: IO[bytes] | None, limit_bytes: int) -> None:
        assert pipe is not None  # noqa: S101  both are pipes, see above
        self.kept = bytearray()
        self.truncated = False
        self._descriptor = pipe.fileno()
        self._limit = limit_bytes
        os.set_blocking(self._descriptor, False)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[None]:
        """Read while this is entered."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            if self._read() == b"":
                loop.remove_reader(self._descriptor)

        loop.add_reader(self._descriptor, read)
        try:
            yield
        finally:
            loop.remove_reader(self._descriptor)

    def drain(self) -> None:
        """Read what is there now."""
        while self._read():
            pass

    def _read(self) -> bytes | None:
        """Return what was read, nothing at the end of the pipe, None when it is only empty."""
        try:
            data = os.read(self._descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return None
        room = self._limit - len(self.kept)
        self.kept += data[:room]
        self.truncated = self.truncated or len(data) > room
        return data
