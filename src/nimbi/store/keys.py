"""The operator's keys: made, and read from a file, the environment or a command."""

import asyncio
import base64
import binascii
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nimbi.store.errors import SealError

VARIABLE = "NIMBI_KEY"
KEY_BYTES = 32
# An id is shown in messages and stored with what it sealed.
LINE = re.compile(r"([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/_-]{43}=?)")
FOREIGN = 0o077
# A command may have to ask a vault, or a person's agent.
COMMAND_S = 60.0
MOST_BYTES = 64 * 1024


def new_key() -> str:
    """Return a new key as one line `id:base64`, without a line's end."""
    return f"{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


@dataclass(frozen=True)
class KeySource:
    """Where the keys come from: of the three, the first that is given."""

    file: Path | None = None
    variable: str | None = field(default=None, repr=False)
    command: str | None = None

    async def text(self) -> str:
        """Return the keys as written. Raises SealError."""
        if self.command:
            return await _printed(self.command)
        if self.variable:
            return self.variable
        if self.file is None:
            raise SealError("no key is given: name a file, a command, or set " + VARIABLE)
        return await asyncio.to_thread(_read, self.file)

    def __str__(self) -> str:
        if self.command:
            return "what the key command prints"
        return f"the variable {VARIABLE}" if self.variable else str(self.file)


def key_source(
    key_file: Path | None, environment: Mapping[str, str], key_command: str | None
) -> KeySource:
    """Return where the keys are: the command, then NIMBI_KEY of the environment, then the file."""
    return KeySource(key_file, environment.get(VARIABLE) or None, key_command or None)


async def ensure_key_file(file: Path) -> bool:
    """Make a file with one new key and mode 0600 unless it is there; return whether it was made.

    Of several processes that do so at once one makes it, and all read the same. Raises SealError.
    """
    return await asyncio.to_thread(_ensure, file)


def parsed(text: str, where: str) -> Mapping[str, bytes]:
    """Return the keys by id, in their order: one a line or between commas; `#` begins a comment.

    Raises SealError, which does not repeat what was read.
    """
    keys: dict[str, bytes] = {}
    lines = [line.partition("#")[0].strip() for line in re.split(r"[\n,]", text)]
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        if (found := LINE.fullmatch(line)) is None or (key := _decoded(found[2])) is None:
            raise SealError(f"{where}: line {number} is not `id:base64` with 32 bytes")
        if found[1] in keys:
            raise SealError(f"{where}: the key {found[1]!r} is there twice")
        keys[found[1]] = key
    if not keys:
        raise SealError(f"{where}: no key")
    return keys


def _decoded(text: str) -> bytes | None:
    padded = text.rstrip("=").replace("-", "+").replace("_", "/") + "="
    try:
        key = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & FOREIGN:
                raise SealError(f"{file}: others may read it; give it mode 0600")
            return opened.read(MOST_BYTES).decode()
    except OSError as error:
        raise SealError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SealError(f"{file}: not a file of keys") from error


def _ensure(file: Path) -> bool:
    if file.exists():
        return False
    made = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as opened:
            opened.write(new_key() + "\n")
            opened.flush()
            os.fsync(handle)
        # Whole at once, and only if nobody was quicker.
        os.link(made, file)
    except FileExistsError:
        return False
    except OSError as error:
        raise SealError(f"{file}: cannot be made: {error.strerror}") from error
    finally:
        with suppress(OSError):
            made.unlink()
    return True


async def _printed(command: str) -> str:
    process = await asyncio.create_subprocess_shell(
        command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(COMMAND_S):
            out, _ = await process.communicate()
    except TimeoutError as error:
        raise SealError(f"the key command took longer than {COMMAND_S:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SealError(f"the key command ended with status {process.returncode}")
    try:
        return out.decode()
    except UnicodeDecodeError as error:
        raise SealError("the key command printed no keys") from error
