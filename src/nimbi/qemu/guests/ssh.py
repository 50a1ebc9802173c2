"""Running a command in a guest through the `ssh` program."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nimbi.qemu.errors import Failed
from nimbi.qemu.host.execution import Outcome, execute
from nimbi.qemu.host.files import write_atomically
from nimbi.qemu.host.programs import environment, program

OUTPUT_BYTES = 2**20
"""Of each of a command's two outputs; what is more is cut, and the command goes on."""

LOGIN_FAILED = 255
HOST_KEY = re.compile(rb"^nimbi: host-key ([a-z0-9-]+ [A-Za-z0-9+/=]+)", re.MULTILINE)
OPTIONS = (
    *("-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
    *("-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"),
    *("-o", "ForwardAgent=no", "-o", "ClearAllForwardings=yes", "-o", "UpdateHostKeys=no"),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and as whom to log in, and the keys by which the guest is known."""

    address: str
    port: int
    user: str
    host_keys: tuple[str, ...]


def host_keys(console: bytes) -> tuple[str, ...]:
    """Return the keys that a guest has printed on its console, which no network can change."""
    found = HOST_KEY.findall(console)
    return (found[-1].decode(),) if found else ()


async def run(place: Place, command: str, private_key: str, *, within_s: float) -> Outcome:
    """Log in and run one shell command, with nothing on its standard input.

    The key lies in a private file only while the program runs; no agent, no configuration of the
    user takes part. Raises Missing, TimedOut, Failed when the login fails.
    """
    ssh = program("ssh")
    with tempfile.TemporaryDirectory(prefix="nimbi-ssh-") as directory:
        identity, known = Path(directory, "key"), Path(directory, "known_hosts")
        write_atomically(identity, private_key.strip().encode() + b"\n")
        names = f"[{place.address}]:{place.port}"
        lines = "".join(f"{names} {key}\n" for key in place.host_keys)
        write_atomically(known, lines.encode())
        arguments = ["-i", str(identity), "-o", f"UserKnownHostsFile={known}", *OPTIONS]
        target = ["-p", str(place.port), "-l", place.user, place.address, "--", command]
        ended = await execute(
            [ssh, *arguments, *target],
            environment=environment(),
            within_s=within_s,
            limit_bytes=OUTPUT_BYTES,
        )
    if ended.exit_code == LOGIN_FAILED:
        raise Failed(f"ssh failed: {ended.err.decode('utf-8', 'replace').strip()[-500:]}")
    return ended
