"""Keys that a program tells, which a profile names."""

import asyncio
import shlex
from asyncio.subprocess import DEVNULL, PIPE

import msgspec

from nimbi.drivers.ec2.logins.ground import told
from nimbi.drivers.ec2.logins.lease import Lease
from nimbi.drivers.ec2.profiles import Section
from nimbi.model.errors import Unauthorized

PROCESS_S = 60.0
WHAT = "the program that the AWS profile names"


class _Version(msgspec.Struct, frozen=True):
    version: int = msgspec.field(name="Version")


async def from_process(section: Section) -> Lease | None:
    """Return the keys that `credential_process` tells; None when there is none.

    Raises Unauthorized when it fails, or takes more than a minute.
    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
    """
    command = section.get("credential_process")
    if not command:
        return None
    output = await _output(command)
    try:
        version = msgspec.json.decode(output, type=_Version).version
    except msgspec.MsgspecError:
        version = 0
    if version != 1:
        raise Unauthorized(f"{WHAT} tells keys in no form that is known")
    return told(output, WHAT)


async def _output(command: str) -> bytes:
    try:
        words = shlex.split(command)
        program = await asyncio.create_subprocess_exec(
            *words, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except (OSError, ValueError, TypeError):
        raise Unauthorized(f"{WHAT} cannot be started") from None
    try:
        async with asyncio.timeout(PROCESS_S):
            output, _ = await program.communicate()
    except TimeoutError:
        raise Unauthorized(f"{WHAT} did not end in {PROCESS_S:.0f} s") from None
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    if program.returncode != 0:
        raise Unauthorized(f"{WHAT} failed with {program.returncode}")
    return output
